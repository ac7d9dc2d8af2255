"""Efficient Side-Tuning in a training loop of your own: no config, no registry, no model of OpenMMLab."""

import torch
import torch.nn.functional as F
from torch import nn

import mmest


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.norm = nn.GroupNorm(4, channels)

    def forward(self, x):
        return x + self.conv2(F.relu(self.norm(self.conv1(x))))


class Backbone(nn.Module):
    """Stands for a pretrained one, such as timm.create_model(NAME, pretrained=True, features_only=True)."""

    def __init__(self):
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 16, 4, stride=4), nn.Conv2d(16, 32, 2, stride=2)
        self.stage1, self.stage2 = (nn.Sequential(Block(c), Block(c)) for c in (16, 32))

    def forward(self, image):
        fine = self.stage1(self.stem(image))
        return [fine, self.stage2(self.down(fine))]


class Segmentor(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone, self.heads = backbone, nn.ModuleList(nn.Conv2d(c, 2, 1) for c in (16, 32))

    def forward(self, image):
        maps = [head(x) for head, x in zip(self.heads, self.backbone(image))]
        return sum(F.interpolate(x, image.shape[-2:], mode='bilinear') for x in maps)


def main(steps=60):
    torch.manual_seed(0)
    model = Segmentor(mmest.tune(Backbone(), 'EST'))  # frozen from here on, but for the side network and the heads
    optimizer = torch.optim.AdamW(mmest.trainable_parameters(model, lr=1e-3, weight_decay=0.05))
    losses = []
    for _ in range(steps):
        image = F.interpolate(torch.rand(4, 3, 8, 8), (64, 64))
        target = (image.mean(1) > 0.5).long()
        loss = F.cross_entropy(model(image), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    mmest.save_delta(model, 'delta.pth')  # what trained, and a fingerprint of what did not
    print(f'loss {losses[0]:.3f} -> {losses[-1]:.3f}')
    return model, losses


if __name__ == '__main__':
    main()
