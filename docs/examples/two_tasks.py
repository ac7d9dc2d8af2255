"""A detection delta and a segmentation delta, trained together: the frozen backbone runs once for each batch."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

import mmest


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(16, 16, 3, padding=1) for _ in range(2))

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))


def pretrained():
    """Stands for a pretrained backbone, such as timm.create_model(NAME, pretrained=True, features_only=True)."""
    return nn.Sequential(nn.Conv2d(3, 16, 4, stride=4), nn.Sequential(*(Block() for _ in range(4))))


class Model(nn.Module):
    """A tuned backbone and a head. Models of mmdet and mmseg over a TunedBackbone each would do as well."""

    def __init__(self, backbone, channels):
        super().__init__()
        self.backbone, self.head = backbone, nn.Conv2d(16, channels, 3, padding=1)

    def forward(self, image):
        return self.head(self.backbone(image))


def scenes(count=8):
    """Noise with a bright rectangle each, in cells of 4 × 4 pixels: images, what it covers, its centre and its size."""
    corner, size, cells = torch.randint(0, 8, (count, 2)), torch.randint(3, 8, (count, 2)), torch.arange(16)
    rows, columns = ((corner[:, [k]] <= cells) & (cells < (corner + size)[:, [k]]) for k in (0, 1))
    covered = rows[:, :, None] & columns[:, None]
    image = torch.rand(count, 3, 64, 64) + F.interpolate(covered[:, None].float(), scale_factor=4)
    return image, covered.long(), corner + size // 2, size.float()


def detection_loss(found, centre, size):
    """``found`` is B×3×H×W: how sure each cell is that it is the centre, and the height and width around it."""
    cell = centre[:, 0] * found.shape[-1] + centre[:, 1]
    sure, sides = found[:, 0].flatten(1), found[:, 1:].flatten(2)[torch.arange(len(found)), :, cell]
    return F.cross_entropy(sure, cell) + F.l1_loss(sides, size)


def main(steps=60):
    torch.manual_seed(0)
    backbone = pretrained()
    boxes, ground = (Model(mmest.tune(copy.deepcopy(backbone), 'EST'), channels) for channels in (3, 2))
    shared = mmest.SharedBackbone([boxes.backbone, ground.backbone])  # the second one's own weights are freed
    models = nn.ModuleDict(dict(boxes=boxes, ground=ground))
    optimizer = torch.optim.AdamW(mmest.trainable_parameters(models, lr=3e-3, weight_decay=0.05))
    losses = []
    for _ in range(steps):
        image, covered, centre, size = scenes()
        found, seen = boxes(image), ground(image)  # the frozen pass runs in the first call alone
        each = detection_loss(found, centre, size), F.cross_entropy(seen, covered)
        optimizer.zero_grad()
        sum(each).backward()
        optimizer.step()
        losses.append([loss.item() for loss in each])
    for name, model in models.items():
        mmest.save_delta(model, f'{name}.pth')  # each loads by itself, and beside the other
    print(
        f'loss of boxes {losses[0][0]:.2f} -> {losses[-1][0]:.2f}, of ground {losses[0][1]:.2f} -> {losses[-1][1]:.2f}'
    )
    return models, shared, losses


if __name__ == '__main__':
    main()
