"""The models that leaks are replayed with, each quick enough for hundreds of cohorts, and the area they are scored by."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
TIMES = tuple(np.geomspace(0.03, 100, 10).tolist())
STEPS = 100  # of the network


def areas(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """AUC of each column of scores (n, ...), by ranks; ties count one half. positive: bool (n,), both classes."""
    ranks = rankdata(scores, axis=0)
    hits = int(positive.sum())
    return (ranks[positive].sum(0) - hits * (hits + 1) / 2) / (hits * (len(positive) - hits))


class GradientFlow:
    """Ridge regression of the labels, trained by gradient descent in infinitely small steps from zero.

    In closed form: along the i-th singular direction of the training features, with squared singular value s of
    X / sqrt(n), the weights at time t are those of ridge regression times 1 - exp(-t (s + penalty)).
    """

    def __init__(self, features: np.ndarray, positive: np.ndarray):
        """features: (n, F), centred. positive: bool (n,)."""
        n = len(features)
        target = np.where(positive, 1.0, -1.0)
        left, self.singular, self.right = np.linalg.svd(features / np.sqrt(n), full_matrices=False)
        self.along = left.T @ (target - target.mean()) / np.sqrt(n)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Scores of samples (n, F) at every penalty and time, (n, penalties, times)."""
        s, penalties, times = np.ix_(self.singular, PENALTIES, TIMES)
        rate = s**2 + penalties
        weights = self.along[:, None, None] * s * -np.expm1(-times * rate) / rate
        return np.tensordot(features @ self.right.T, weights, axes=1)


def network_scores(images: np.ndarray, positive: np.ndarray, training: np.ndarray, seed: int) -> np.ndarray:
    """Score of the positive class of every image, by a network trained on some of them.

    Raises `Diverged` where the scores are no numbers.
    """
    import torch  # for those who ask for it only
    from torch import nn

    from als_core.models.stages import seeded
    from als_core.training.epochs import raise_if_not_finite

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for so small a network more threads only wait for each other
    with seeded(seed):
        network = nn.Sequential(
            nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2),
        )  # fmt: skip
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    rows, labels = torch.from_numpy(training), torch.from_numpy(positive.astype(np.int64))
    inputs = (inputs - inputs[rows].mean((0, 2, 3), keepdim=True)) / inputs[rows].std((0, 2, 3), keepdim=True)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(STEPS):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(inputs[rows]), labels[rows]).backward()
        optimiser.step()
    with torch.inference_mode():
        scores = network(inputs)
    torch.set_num_threads(threads)
    raise_if_not_finite("network of the leak replay", seed, STEPS, scores)
    return (scores[:, 1] - scores[:, 0]).numpy()
