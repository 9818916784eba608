"""How good the rows are: scores of models trained on them."""
