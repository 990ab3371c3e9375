"""What users pass, checked and encoded as batches."""
