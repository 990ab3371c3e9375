"""Fitted classifiers along the trade-off, with their figures."""

import numpy as np
import pandas as pd

from ._measure import measure
from .metrics import best_under
from .metrics._front import dominated


class FairnessPath:
    """Fitted classifiers along the trade-off, and their figures on some rows.

    `fairness_path` makes it. ``path[i]`` is the fitted classifier of row i of `to_frame`;
    ``len(path)`` counts them, and a loop goes over them.

    Parameters
    ----------
    estimators : list of FairBiNNClassifier
        Fitted classifiers, those of one seed behind each other.

    figures : DataFrame of shape (n_points, n_figures)
        Their figures.

    reason : str, default=None
        Why they were trained one after another; None if they were trained side by side.

    Attributes
    ----------
    by : str
        Name of the parameter that the points differ in: "eta" or "fairness_target".

    See Also
    --------
    fairness_path : Trains them.
    fairbinn_sklearn.inspection.ParetoFrontDisplay.from_path : The picture.
    """

    def __init__(self, estimators, figures, reason=None):
        self.estimators = estimators
        self.figures = figures
        self.reason = reason
        self.by = "eta" if estimators[0].fairness_target is None else "fairness_target"

    def evaluate(
        self,
        X,
        y,
        *,
        sensitive_features,
        sample_weight=None,
        metrics=None,
        score="accuracy",
        pos_label=None,
    ):
        """Measure the same classifiers on other rows, such as a validation part.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, best others than those of training.

        y : array-like of shape (n_samples,)
            Labels.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Groups of the rows; several columns make intersections.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the figures.

        metrics : str or list of str, default=None
            Names of figures, as in `fairbinn_sklearn.metrics.FairnessScorer`. None means the
            differences of demographic parity, of equalized odds and of mean scores.

        score : str, default="accuracy"
            Name of a scorer of scikit-learn.

        pos_label : label, default=None
            The positive one of two classes. None means the last of `classes_`.

        Returns
        -------
        path : FairnessPath
            The same classifiers with the figures on these rows.

        Raises
        ------
        ValueError
            If an argument is not valid.
        """
        figures = measure(
            self.estimators,
            X,
            y,
            sensitive_features,
            sample_weight=sample_weight,
            metrics=metrics,
            score=score,
            pos_label=pos_label,
        )
        return FairnessPath(self.estimators, figures, self.reason)

    def __len__(self):
        """Number of points."""
        return len(self.estimators)

    def __getitem__(self, index):
        """Fitted classifier of a point, or a list of them for a slice."""
        return self.estimators[index]

    def __repr__(self):
        """Say how many points of which parameter."""
        values = ", ".join(f"{one:g}" for one in self._values().unique())
        seeds = len(self._seeds().unique())
        return f"FairnessPath({self.by} {values}; {seeds} seed{'s' if seeds > 1 else ''})"

    def to_frame(self):
        """Make a table of the points.

        Returns
        -------
        frame : DataFrame of shape (n_points, n_figures + 2)
            Eta or target, seed, and figures; differences are positive. With targets, `eta_` is
            the weight that was found.
        """
        frame = pd.DataFrame({self.by: self._values(), "seed": self._seeds()})
        if self.by == "fairness_target":
            frame["eta_"] = [one.eta_ for one in self.estimators]
        return pd.concat([frame, self.figures], axis=1)

    def summary(self):
        """Mean and standard deviation over the seeds.

        Returns
        -------
        summary : DataFrame of shape (n_values, 2 * n_figures)
            Indexed by eta or target, with columns (figure, "mean") and (figure, "std"); the
            deviation is that of the seeds given, 0 for one seed.
        """
        grouped = self.figures.groupby(self._values(), sort=False)
        parts = {"mean": grouped.mean(), "std": grouped.std(ddof=0)}
        return pd.concat(parts, axis=1).swaplevel(axis=1)[list(self.figures)]

    def nondominated(self, metric="demographic_parity_difference", score=None):
        """List the points whose mean over the seeds no other point beats.

        Parameters
        ----------
        metric : str, default="demographic_parity_difference"
            Name of a difference in the table.

        score : str, default=None
            Name of a score in the table. None means its first figure.

        Returns
        -------
        points : DataFrame of shape (n_nondominated, 2)
            Means of difference and score by eta or target, from the smallest difference.

        Raises
        ------
        ValueError
            If the table has no such figure.
        """
        metric, score = self._columns(metric, score)
        means = self.summary().xs("mean", axis=1, level=1)[[metric, score]]
        return means[~dominated(means[metric], means[score])].sort_values(metric)

    def hypervolume(
        self, metric="demographic_parity_difference", score=None, *, reference=(1.0, 0.0)
    ):
        """Area that the points of each seed dominate, by moocore.

        Parameters
        ----------
        metric : str, default="demographic_parity_difference"
            Name of a difference in the table.

        score : str, default=None
            Name of a score in the table. None means its first figure.

        reference : tuple of two floats, default=(1.0, 0.0)
            Difference and score of the corner that the area is measured from: of the worst point
            that counts.

        Returns
        -------
        area : Series of shape (n_seeds,)
            Area by seed, from 0 to 1 with the default reference; larger is better.

        Raises
        ------
        ValueError
            If the table has no such figure.

        ImportError
            If moocore is not installed.
        """
        metric, score = self._columns(metric, score)
        try:
            from moocore import hypervolume
        except ImportError as error:
            raise ImportError(
                'FairnessPath.hypervolume needs moocore: pip install "fairbinn-sklearn[examples]".'
            ) from error
        corner = [reference[0], -reference[1]]
        points = np.column_stack([self.figures[metric], -self.figures[score]])
        return pd.Series(
            {
                seed: hypervolume(points[rows], ref=corner)
                for seed, rows in self.figures.groupby(self._seeds(), sort=False).indices.items()
            },
            name="hypervolume",
        ).rename_axis("seed")

    def best_under(self, bound, metric="demographic_parity_difference", score=None):
        """Choose the classifier of the best score whose difference meets a bound.

        With several seeds, eta or the target is chosen by the means over them, and the classifier
        is that of the first seed: the best of the seeds would be a choice by chance.

        Parameters
        ----------
        bound : float
            Largest difference allowed, from 0 to 1.

        metric : str, default="demographic_parity_difference"
            Name of a difference in the table.

        score : str, default=None
            Name of a score in the table. None means its first figure.

        Returns
        -------
        classifier : FairBiNNClassifier
            The fitted classifier. If no point meets the bound it is the closest, with a warning.

        Raises
        ------
        ValueError
            If the bound is not valid, or the table has no such figure.

        Notes
        -----
        The figures are those of the rows that the path was measured on: call `evaluate` on rows
        that the nets were not trained on before choosing, and audit the choice on still others.
        """
        metric, score = self._columns(metric, score)
        means = self.summary().xs("mean", axis=1, level=1)
        results = {f"mean_test_{metric}": -means[metric], f"mean_test_{score}": means[score]}
        return self.estimators[best_under(bound, metric, score)(results)]

    def predict(self, X):
        """Predict labels by each classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of shape (n_points, n_samples)
            Labels.
        """
        return np.stack([one.predict(X) for one in self.estimators])

    def predict_proba(self, X):
        """Predict probabilities by each classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_points, n_samples, n_classes)
            Probabilities in the order of `classes_`.
        """
        return np.stack([one.predict_proba(X) for one in self.estimators])

    def _values(self):
        return pd.Series([getattr(one, self.by) for one in self.estimators], name=self.by)

    def _seeds(self):
        return pd.Series([one.random_state for one in self.estimators], name="seed")

    def _columns(self, metric, score):
        score = self.figures.columns[0] if score is None else score
        for parameter, name in (("metric", metric), ("score", score)):
            if name not in self.figures:
                raise ValueError(
                    f"{parameter} must be one of {list(self.figures)}, got {name!r}; "
                    "FairnessPath.evaluate measures others."
                )
        return metric, score
