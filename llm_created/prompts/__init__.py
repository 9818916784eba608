"""What is asked, and what is read of the reply."""
