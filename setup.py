"""Packaging of mmest: `pip install .`, `pip install -e .[det,seg]`."""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


def version() -> str:
    """The version that mmest/version.py states, without importing it."""
    text = (ROOT / 'mmest' / 'version.py').read_text(encoding='utf-8')
    return re.search(r"^__version__ = '([^']+)'$", text, re.MULTILINE).group(1)


class BuildWithMIM(build_py):
    """Put configs and tools into mmest/.mim, where mim looks for them.

    A wheel gets copies; an editable install gets links, so that an edited config is the one that runs.
    """

    def run(self) -> None:
        super().run()
        target = Path('mmest' if self.editable_mode else f'{self.build_lib}/mmest') / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in ('configs', 'tools', 'model-index.yml'):
            if self.editable_mode:
                (target / name).symlink_to(os.path.relpath(ROOT / name, target))
            elif (ROOT / name).is_file():
                shutil.copy(ROOT / name, target)
            else:
                shutil.copytree(
                    ROOT / name,
                    target / name,
                    ignore=shutil.ignore_patterns('__pycache__', 'environment', 'setup_env.py'),
                )
        if self.editable_mode:
            self._say_where_the_package_is()

    def _say_where_the_package_is(self) -> None:
        """Make the first line of ``top_level.txt`` the path of the package.

        mim looks in site-packages, where the package of an editable install is not, and joins to it what this line
        says: an absolute path wins.
        """
        for file in Path(self.get_finalized_command('install').install_lib).glob('mmest-*.dist-info/top_level.txt'):
            file.write_text(f'{ROOT / "mmest"}\n{file.read_text()}')


DETECTION = ['mmcv>=2.0.0rc4,<2.2', 'mmdet>=3.3,<4']
SEGMENTATION = ['mmcv>=2.0.0rc4,<2.2', 'mmsegmentation>=1.2,<2', 'ftfy', 'regex']

setup(
    name='mmest',
    version=version(),
    description='Efficient Side-Tuning for remote sensing, for MMDetection and MMSegmentation',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8') if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmest', 'mmest.*']),
    package_data={'mmest': ['py.typed'], 'mmest.report': ['page.html']},
    py_modules=['mmest_command'],
    entry_points=dict(console_scripts=['mmest = mmest_command:main']),
    cmdclass={'build_py': BuildWithMIM},
    python_requires='>=3.10',
    install_requires=[
        'torch>=2.4',
        'mmengine>=0.10.4,<1',
        'jinja2',
        'matplotlib',
        'numpy',
        'opencv-python',
        'pillow',
        'pycocotools',
        'pyyaml',
        'rich',
        'shapely',
    ],
    extras_require={
        'det': DETECTION,
        'seg': SEGMENTATION,
        'timm': ['timm>=1.0'],
        'mmpretrain': ['mmpretrain>=1.2,<2', 'torchvision', 'importlib_metadata'],
        'onnx': ['onnx>=1.16', 'onnxruntime>=1.18', 'onnxscript>=0.2'],
        'geo': ['rasterio', 'pyogrio'],
        'tests': [*DETECTION, *SEGMENTATION, 'pytest'],
    },
    zip_safe=False,
)
