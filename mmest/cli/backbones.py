"""Try every tuning method on small backbones of many families. It is said which work, which refuse, and why."""

import argparse
from collections import Counter

from mmengine.logging import MMLogger

from mmest.benchmark.families.libraries import LIBRARIES
from mmest.benchmark.families.promises import FAILS, REFUSED, WORKS
from mmest.benchmark.families.run import FOLDER, choose, try_members
from mmest.cli._places import folder_to_write
from mmest.cli._refusal import refusing

EPILOG = """\
examples:
  # what docs/backbones.md is made of, as far as the libraries are installed
  mmest backbones --out benchmarks/results

  # a part of it
  mmest backbones --out benchmarks/results --only timm,hiera

  # the page
  mmest tables benchmarks/results --out docs

Members are cut down by the libraries' own arguments and have random weights: nothing is downloaded. Each method is
compared with the plain backbone, trained for two steps, and its delta loaded into another copy, in some seconds. A
method that refuses or fails is a finding, not an error of the command. After an interruption the same command goes on.

what is written: DIR/backbones/LIBRARY_FAMILY.json, with arguments, versions and what was found.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--out', type=folder_to_write, required=True, metavar='DIR', help='where the JSON files go')
    parser.add_argument(
        '--only', metavar='WORD,WORD', help=f'libraries (of {", ".join(LIBRARIES)}), families, or both: timm,hiera'
    )


def run(args: argparse.Namespace) -> None:
    MMLogger.get_current_instance().setLevel('ERROR')  # it would tell of every delta that is loaded
    with refusing():
        members = choose(args.only.split(',') if args.only else ())
    for member, record in try_members(members, args.out):
        name = f'{member.family} ({member.library})'
        if 'error' in record:
            print(f'{name}: cannot be built: {record["error"]}', flush=True)
            continue
        found = Counter(one['verdict'] for one in record['methods'].values())
        print(
            f'{name}: {", ".join(f"{found[word]} {word}" for word in (WORKS, REFUSED, FAILS) if found[word])}',
            flush=True,
        )
        for method, one in record['methods'].items():
            if one['verdict'] == FAILS:
                print(f'  {method}: {one["says"]}', flush=True)
    print(f'Wrote {args.out / FOLDER}.')
