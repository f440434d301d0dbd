"""BERT in scikit-learn."""

from berthub.sklearn.features import BertFeatures

__all__ = ["BertFeatures"]
