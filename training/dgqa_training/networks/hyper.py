"""A regressor that is not ours to show how one is plugged in: HyperIQA's idea on any backbone.

Su et al., "Blindly Assess Image Quality in the Wild Guided by a Self-Adaptive Hyper Network" (CVPR 2020):
what is in a photograph decides how its distortions are weighed. A network over the content generates the
weights of the one that judges quality. Theirs generates four fully connected layers on pooled features; here
it is one, applied at each position, so that the quality map stays exact.

    dgqa-infer train regressor PRISTINE RUN --network dgqa_training.networks.hyper:HyperNetwork --ridge 0
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dgqa_training.networks.heads import Backbone, Head, Reader

_LOCAL = 64


class HyperNetwork(Reader):
    """Local features, weighed by weights that the whole picture's content generates.

    Args:
        backbone: whose maps are read.
        head: names them; the last is taken for content.
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__(backbone, head, _LOCAL)
        self._content = backbone.channels[head.stages[-1]]
        self.weights = nn.Linear(self._content, _LOCAL)
        self.bias = nn.Linear(self._content, 1)

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Judge crops.

        Args:
            crops: uint8 [n, h, w, 3], RGB 0–255; h and w multiples of 32.

        Returns:
            `quality` float32 [n], and `quality_map` float32 [n, h / 32, w / 32], whose mean is `quality`.
        """
        features = self.features(crops)
        with torch.autocast(crops.device.type, enabled=False):
            features = features.float()
            local = functional.relu(self.linear(features))
            content = features[:, -self._content :].mean((2, 3))
            quality_map = torch.einsum("nchw,nc->nhw", local, self.weights(content))
            quality_map = quality_map + self.bias(content)[:, :, None]
        return {"quality": quality_map.mean((1, 2)), "quality_map": quality_map}
