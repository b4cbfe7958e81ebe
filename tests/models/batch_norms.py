"""Batch norms as after training, for the tests of what is made of them."""

import torch
from torch import nn


def filled(network: nn.Module, negative: bool) -> nn.Module:
    """The network in eval mode, its batch norms filled at random; scales of either sign and none where `negative`."""
    generator = torch.Generator().manual_seed(0)
    for norm in (each for each in network.modules() if isinstance(each, nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.5, generator=generator)
        norm.running_var.uniform_(0.5, 2, generator=generator)
        norm.weight.data.uniform_(0.5, 1.5, generator=generator)
        norm.bias.data.normal_(0, 0.5, generator=generator)
        if negative:
            norm.weight.data[1:3] = torch.tensor([-1.0, 0.0])
    return network.eval()
