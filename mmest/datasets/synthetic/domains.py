"""What differs between the source and the target domain: season, materials, sun and sensor."""

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Domain:
    """How one place looks on one day to one sensor.

    Colours are RGB in 0..255. A pair is the two ends between which a noise texture mixes.

    Args:
        name: folder of the domain.
        scale: pixels per scene unit, the ground resolution: the sizes of all things are given in scene units.
        sun: direction in which shadows fall (x to the right, y downwards), a unit vector.
        shadow_length: length of a shadow over the height of what casts it.
        shadow_depth: share of the light that a shadow takes away.
        ground, fields, forest, water: land cover, as pairs.
        sand, asphalt, concrete, marking: plain surfaces.
        roofs, hulls, cars, tanks, planes: materials to choose from.
        cast: factor per channel, of the light and the sensor.
        haze: colour and share of the veil of the atmosphere.
        blur: standard deviation of the sensor's point spread, in pixels.
        noise: standard deviation of the sensor's noise, in grey levels.
    """

    name: str
    scale: float
    sun: tuple[float, float]
    shadow_length: float
    shadow_depth: float
    ground: tuple[Colour, Colour]
    fields: tuple[tuple[Colour, Colour], ...]
    forest: tuple[Colour, Colour]
    water: tuple[Colour, Colour]
    sand: Colour
    asphalt: Colour
    concrete: Colour
    marking: Colour
    roofs: tuple[Colour, ...]
    hulls: tuple[Colour, ...]
    cars: tuple[Colour, ...]
    tanks: tuple[Colour, ...]
    planes: tuple[Colour, ...]
    cast: tuple[float, float, float]
    haze: tuple[Colour, float]
    blur: float
    noise: float


# A temperate summer noon, seen by a sharp sensor.
SOURCE = Domain(
    name='source',
    scale=1.0,
    sun=(0.64, 0.77),
    shadow_length=0.7,
    shadow_depth=0.55,
    ground=((146, 142, 98), (112, 126, 76)),
    fields=(((164, 150, 96), (182, 168, 112)), ((104, 132, 66), (122, 148, 80)), ((138, 112, 82), (156, 128, 94))),
    forest=((38, 66, 34), (70, 102, 50)),
    water=((24, 58, 84), (46, 90, 112)),
    sand=(206, 192, 156),
    asphalt=(84, 84, 90),
    concrete=(168, 166, 160),
    marking=(232, 232, 224),
    roofs=((164, 86, 62), (142, 72, 54), (178, 104, 78), (196, 190, 180), (122, 118, 116)),
    hulls=((196, 198, 202), (150, 54, 46), (62, 72, 92), (226, 226, 222)),
    cars=((236, 236, 236), (34, 36, 42), (176, 34, 36), (42, 74, 150), (188, 190, 194)),
    tanks=((228, 228, 222), (204, 206, 206), (186, 178, 160)),
    planes=((238, 240, 242), (222, 226, 232), (206, 210, 214)),
    cast=(1.0, 1.0, 1.0),
    haze=((196, 208, 220), 0.04),
    blur=0.35,
    noise=2.5,
)

# Late autumn in another region: low sun from the other side, dry ground, rusty woods, slate and metal roofs, silty
# water, pale roads; a coarser, blurred and noisy sensor behind a warm haze.
TARGET = Domain(
    name='target',
    scale=0.8,
    sun=(-0.87, 0.5),
    shadow_length=1.5,
    shadow_depth=0.5,
    ground=((182, 154, 118), (150, 122, 94)),
    fields=(((132, 100, 76), (150, 116, 88)), ((196, 176, 138), (212, 192, 152)), ((160, 148, 120), (176, 162, 130))),
    forest=((98, 62, 36), (150, 104, 52)),
    water=((94, 112, 92), (124, 136, 108)),
    sand=(150, 132, 112),
    asphalt=(150, 146, 142),
    concrete=(194, 182, 164),
    marking=(216, 206, 172),
    roofs=((70, 74, 84), (92, 96, 106), (104, 128, 142), (138, 146, 152), (112, 92, 82)),
    hulls=((62, 78, 86), (176, 120, 64), (112, 42, 36), (206, 200, 188)),
    cars=((216, 212, 202), (58, 56, 56), (128, 50, 40), (164, 150, 112), (84, 98, 104)),
    tanks=((186, 192, 188), (160, 128, 100), (132, 142, 148)),
    planes=((214, 214, 208), (150, 158, 160), (190, 192, 184)),
    cast=(1.08, 0.97, 0.84),
    haze=((214, 196, 170), 0.16),
    blur=0.75,
    noise=7.0,
)

DOMAINS = {domain.name: domain for domain in (SOURCE, TARGET)}
