"""Models that give rows their answers: trained, kept in a folder, loaded, and put to files."""
