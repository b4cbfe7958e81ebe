"""The 50-3-2 network of Turrisi 2024 (section 2.4) as a classifier, all its trials trained side by side.

Chosen where the paper leaves it open: ReLU; mini-batches of 32; the l2 penalty as Adam's weight decay; the
weights of the best epoch are kept; DNNv watches the validation loss with both classes weighted alike, and
SMOTE acts after its validation split, so no interpolated point of a validation subject is trained on.

The paper says "dropout after each layer". It is applied after the two hidden layers: after the third it would
set class scores to 0 at random, in 36 % of the samples at least one of the two, and the loss would be taken
of that.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import cross_entropy, relu

from als_core.training.epochs import raise_if_not_finite

HIDDEN = (50, 3)
CLASSES = 2

Weights = list[tuple[Tensor, Tensor]]  # a layer: (trials, inputs, outputs) and (trials, 1, outputs)


class SmallNetwork(ClassifierMixin, BaseEstimator):
    """A scikit-learn classifier of two classes, 0 and 1.

    watch : "training" stops on the F1-score of class 1 on the training set (DNNt), "validation" on the
        class-balanced cross-entropy of a stratified `validation_share` of it (DNNv).
    oversampler : fitted to what is left after that share was taken (DNNv only; for DNNt the pipeline has
        SMOTE).
    warm_start : a second `fit` continues from the weights of the first.

    After `fit`: `weights_`, and `epochs_`, the number of epochs each trial's kept weights were trained.
    """

    def __init__(
        self,
        watch: Literal["training", "validation"] = "training",
        trials: int = 5,
        max_epochs: int = 200,
        patience: int = 50,
        learning_rate: float = 0.001,
        l2_penalty: float = 0.001,
        dropout: float = 0.2,
        batch_size: int = 32,
        validation_share: float = 0.2,
        oversampler: BaseEstimator | None = None,
        warm_start: bool = False,
        random_state: int = 0,
    ):
        self.watch = watch
        self.trials = trials
        self.max_epochs = max_epochs
        self.patience = patience
        self.learning_rate = learning_rate
        self.l2_penalty = l2_penalty
        self.dropout = dropout
        self.batch_size = batch_size
        self.validation_share = validation_share
        self.oversampler = oversampler
        self.warm_start = warm_start
        self.random_state = random_state

    def fit(self, features: np.ndarray, labels: np.ndarray) -> SmallNetwork:
        """Train all trials. features: (n, F). labels: (n,) of 0 and 1, both present.

        Raises `Diverged` with the epoch in which weights became non-finite.
        """
        self.classes_ = np.arange(CLASSES)
        generator = torch.Generator().manual_seed(self.random_state)
        watched = None
        if self.watch == "validation":
            features, held_features, labels, held_labels = train_test_split(
                features,
                labels,
                test_size=self.validation_share,
                stratify=labels,
                random_state=self.random_state,
            )
            watched = _tensors(held_features, held_labels)
            if self.oversampler is not None:
                features, labels = self.oversampler.fit_resample(features, labels)
        training = _tensors(features, labels)
        if not (self.warm_start and hasattr(self, "weights_")):
            self.weights_ = initial_weights((features.shape[1], *HIDDEN, CLASSES), self.trials, generator)
        self._train(*training, watched, generator)
        return self

    def trial_scores(self, features: np.ndarray) -> np.ndarray:
        """Compute the probability of class 1 by every trial, float32 (trials, n)."""
        with torch.inference_mode():
            return forward(self.weights_, _tensors(features)).softmax(-1)[..., 1].numpy()

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Average the class probabilities over the trials, (n, 2)."""
        positive = self.trial_scores(features).mean(0)
        return np.stack([1 - positive, positive], 1)

    def predict(self, features: np.ndarray) -> np.ndarray:
        return self.classes_[(self.predict_proba(features)[:, 1] > 0.5).astype(int)]

    def _train(
        self,
        inputs: Tensor,
        labels: Tensor,
        watched: tuple[Tensor, Tensor] | None,
        generator: torch.Generator,
    ) -> None:
        parameters = [part.clone().requires_grad_() for layer in self.weights_ for part in layer]
        weights = list(zip(parameters[::2], parameters[1::2], strict=True))
        optimiser = torch.optim.Adam(parameters, self.learning_rate, weight_decay=self.l2_penalty, fused=True)
        best = torch.full((self.trials,), -torch.inf)
        self.epochs_ = torch.zeros(self.trials, dtype=torch.int64)
        kept = [part.detach().clone() for part in parameters]
        for epoch in range(1, self.max_epochs + 1):
            order = torch.stack(
                [torch.randperm(len(inputs), generator=generator) for _ in range(self.trials)]
            )
            for batch in order.split(self.batch_size, 1):
                scores = forward(weights, inputs[batch], self.dropout, generator)
                # a sum over trials of each trial's mean: every trial gets its own gradient
                loss = cross_entropy(scores.flatten(0, 1), labels[batch].flatten(), reduction="sum")
                optimiser.zero_grad()
                (loss / batch.shape[1]).backward()
                optimiser.step()
            for part in parameters:
                raise_if_not_finite("50-3-2 network", self.random_state, epoch, part)
            with torch.inference_mode():
                if watched is None:
                    merit = f1_score(forward(weights, inputs), labels)
                else:
                    merit = -balanced_loss(forward(weights, watched[0]), watched[1])
                going = epoch - self.epochs_ <= self.patience
                better = (merit > best) & going
                best = torch.where(better, merit, best)
                self.epochs_ = torch.where(better, epoch, self.epochs_)
                for keep, part in zip(kept, parameters, strict=True):
                    keep[better] = part[better]
            if not going.any():
                break
        self.weights_ = list(zip(kept[::2], kept[1::2], strict=True))


def initial_weights(sizes: tuple[int, ...], trials: int, generator: torch.Generator) -> Weights:
    """Draw weights and biases uniformly in +-1 / sqrt(inputs), PyTorch's default for a linear layer."""
    weights = []
    for inputs, outputs in pairwise(sizes):
        shapes = ((trials, inputs, outputs), (trials, 1, outputs))
        uniform = [2 * torch.rand(shape, generator=generator) - 1 for shape in shapes]
        weights.append(tuple(part / inputs**0.5 for part in uniform))
    return weights


def forward(
    weights: Weights, inputs: Tensor, dropout: float = 0.0, generator: torch.Generator | None = None
) -> Tensor:
    """Compute logits (trials, n, 2). inputs: (n, F) for all trials, or (trials, n, F)."""
    values = inputs
    for weight, bias in weights[:-1]:
        values = relu(values @ weight + bias)
        if dropout:
            kept = torch.rand(values.shape, generator=generator) >= dropout
            values = values * kept / (1 - dropout)
    weight, bias = weights[-1]
    return values @ weight + bias


def f1_score(scores: Tensor, labels: Tensor) -> Tensor:
    """Compute F1 of class 1 for each trial; 0 where neither truth nor answer has it."""
    answers = scores.argmax(-1)
    hits = (answers * labels).sum(-1)
    return 2 * hits / (answers.sum(-1) + labels.sum(-1)).clamp(min=1)


def balanced_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Average the cross-entropy of each trial within each class, then over the classes."""
    each = -scores.log_softmax(-1).gather(-1, labels.expand(len(scores), -1)[..., None])[..., 0]
    return torch.stack([each[:, labels == label].mean(1) for label in range(CLASSES)]).mean(0)


def _tensors(features: np.ndarray, labels: np.ndarray | None = None):
    inputs = torch.from_numpy(np.ascontiguousarray(features, np.float32))
    return inputs if labels is None else (inputs, torch.from_numpy(np.ascontiguousarray(labels, np.int64)))
