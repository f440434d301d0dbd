"""BERT in scikit-learn."""
