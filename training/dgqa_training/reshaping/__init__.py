"""SynDR-IQA: the synthetic set is reshaped, by DDCUp and DRCDown."""
