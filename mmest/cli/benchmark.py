"""Measure a grid of configs, methods and seeds. It is memory, time or accuracy, one JSON file per cell."""

import argparse
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from mmest.benchmark.again import AGAIN, draw_again
from mmest.benchmark.done import cells_to_run
from mmest.benchmark.estimate import by_config, from_records, from_steps, of_what_is_left, summary
from mmest.benchmark.grid import read_grid
from mmest.benchmark.record import read_folder
from mmest.benchmark.run import run_grid
from mmest.benchmark.tables.repeated import read_again, repeated
from mmest.benchmark.tables.results import read_results
from mmest.benchmark.together.run import TRAINS, run_together
from mmest.cli._options import at_least
from mmest.cli._places import folder_to_write
from mmest.cli._refusal import Refusal, refusing
from mmest.engine.launch import default_launcher
from mmest.files import NO_ACCESS, may_be_in

EPILOG = """\
examples:
  # what our tables are made of, as far as a CPU goes; run it again after an interruption and it goes on
  mmest benchmark benchmarks/grids/accuracy.py --out benchmarks/results

  # a part of it, four cells at a time; words of one kind are alternatives. Several machines may share DIR
  mmest benchmark benchmarks/grids/accuracy.py --out benchmarks/results --only dubai,est,full --jobs 4

  # small models on a large card: 12 processes with three trainings side by side in each
  mmest benchmark benchmarks/grids/accuracy.py --out benchmarks/results --only deit-t --jobs 12 --together 3

  # how long that takes and what memory it needs: from records, or else from one training step of each
  mmest benchmark benchmarks/grids/accuracy.py --out benchmarks/results --only dubai,est,full --estimate

  # can it be repeated? Ten of its trainings once more, drawn at random, each beside its record
  mmest benchmark benchmarks/grids/accuracy.py --out benchmarks/results --again 10

  # tables and figures from what it wrote
  mmest tables benchmarks/results --out tables/

a grid file holds lists of entries, all of them optional:
  memory   = [dict(configs=['my_config.py'])]                  # every method, 2 × 512×512, fp32, on the CPU
  time     = [dict(configs=[...], tunings=['full', 'est'], sizes=[(800, 800)], batch_sizes=[2, 4],
                   precisions=['fp32', 'bf16'], device='cuda', steps=20)]
  largest_batch = [dict(configs=[...], sizes=[(800, 800)], budgets_gib=[24, 80], device='cuda')]
  accuracy = [dict(configs=[...], seeds=[0, 1, 2], sweep=dict(factors=[0.3, 1, 3], held_out=0.2))]
  trial    = [dict(configs=[...], seeds=[0, 1], factors=[0.3, 1], factor_of='method', steps=500, batch_size=4, views=2,
                   held_out=0.2)]

  configs    files that use TunedBackbone; needed
  tunings    methods; all of configs/_base_/tunings if it is left out
  options    dict(key=value) by dotted key, set in the configs; give such an entry a "variant", which becomes part of
             its names
  sweep      before the seeds are trained, each method is trained once per factor on the learning rate of the schedule,
             without a part of the training images, which scores it; the best factor is used. Validation data is not
             looked at. With seeds=[0, 1, 2] in it the scores are means over these; otherwise it uses the first of the
             entry's seeds alone, and chance has more of a say. With of="method" the factor is on the rate of the method
             alone, and neck and head keep theirs. With variant='' the choice is that of another variant's sweep, here
             of the entry without one. Without "sweep" the learning rate is the config's

A trial trains on a few views of each training image, but for a part of these, which scores it: validation data is not
looked at. What the frozen backbone makes of them is computed once and kept, so that methods beside it train in about a
minute. With label_stride=2 the loss of a segmentor is taken at every second row and column. Trials are leads, no
records: "note" in their JSON says why.

Memory and time are those of a training step on synthetic images: no data, no weights. In time cells the methods take
turns in one process.

what is written: NAME.json per cell, with the request (config text, method, seed, ...), commit, versions, hardware and
what was found. A cell that fails has "failed": true and its error, and is tried again by the next run. A cell whose
request has changed since, or whose file is cut off, is measured again, and so is a training whose sweep chooses another
rate since. Checkpoints and output are in work_dirs/benchmarks. What --again trains goes to DIR/again; the same command
goes on after an interruption, another --draw takes others.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('grid', metavar='GRID', help='a grid file')
    parser.add_argument('--out', type=folder_to_write, required=True, metavar='DIR', help='where the JSON files go')

    parser.add_argument(
        '--jobs', type=at_least(1), default=1, metavar='N', help='cells at a time, on all cards of the machine (1)'
    )
    parser.add_argument(
        '--together',
        type=at_least(1),
        metavar='K',
        help='train K models side by side in each job, for small models on a large card',
    )
    parser.add_argument('--only', metavar='WORD,WORD', help='a part of the grid, such as dior,est,full')
    parser.add_argument(
        '--estimate', action='store_true', help='say how long it takes and what memory it needs, and stop'
    )
    parser.add_argument(
        '--again',
        type=at_least(1),
        metavar='N',
        help='train N of those that have a record in DIR once more, drawn at random, and compare',
    )
    parser.add_argument('--draw', type=int, default=0, metavar='SEED', help='of the random draw of --again (0)')


def run(args: argparse.Namespace) -> None:
    if default_launcher() != 'none':
        raise Refusal(
            'mmest benchmark is not started by torchrun: its cells are trainings and measurements of one process each. '
            'Start it once per machine, with --jobs N for several cards; all that name the same --out share the cells.'
        )
    MMLogger.get_current_instance().setLevel('ERROR')  # it would tell of every environment variable in a config
    console = Console()
    with refusing(), console.status('reading the grid'):
        cells = read_grid(args.grid, args.only.split(',') if args.only else ())
        out = args.out
        if args.again:
            cells, out = draw_again(cells, args.out, args.again, args.draw), args.out / AGAIN
    records, cut = read_folder(args.out)
    for path in cut:
        console.print(f'{path} is cut off or no JSON, and counts as no record.', markup=False, soft_wrap=True)
    todo = cells_to_run(cells, out)
    known = from_records(todo, records, bool(args.together))
    if args.estimate:
        unknown, reasons = [cell for cell in todo if cell.name not in known and cell.kind in TRAINS], {}
        for cell, estimate in track(from_steps(unknown), 'a step of each', total=len(unknown), console=console):
            known[cell.name] = estimate
            if estimate.reason:
                reasons.setdefault(estimate.reason, []).append(cell.name)
        for reason, names in reasons.items():
            more = f' and {len(names) - 1} more' if len(names) > 1 else ''
            console.print(f'{names[0]}{more}: {reason}', markup=False, highlight=False, soft_wrap=True)
    work = Path('work_dirs', 'benchmarks')
    if not args.together:  # which begins every training anew
        known = of_what_is_left(todo, known, work)
    if args.estimate and todo:
        console.print(Markdown(by_config(todo, known).markdown()))
    console.print(summary(todo, known, args.jobs), highlight=False)
    if args.estimate:
        if any(known[cell.name].seconds for cell in unknown) and not torch.cuda.is_available():
            console.print('Steps were timed on the CPU, for there is no CUDA here. On a card they take a small part.')
        return
    failed, others = [], cells
    try:
        if args.together:
            failed += run_together(cells, out, work, console, args.jobs, args.together)
            others = [cell for cell in cells if cell.kind not in TRAINS]
        if others:
            failed += run_grid(others, out, work, console, args.jobs)
    except KeyboardInterrupt:
        sys.exit('Interrupted; the same command goes on.')
    except OSError as error:
        if error.errno not in NO_ACCESS or not may_be_in(error, out, work):
            raise
        raise Refusal(
            f'Writing to {out} or {work} failed: {error.strerror}. Make room; the same command goes on.'
        ) from error
    except BrokenProcessPool as error:
        raise Refusal(
            'A process was killed, most likely because memory ran out. The same command goes on; take fewer --jobs, or '
            'fewer --together.'
        ) from error
    if failed:
        raise Refusal(f'Cells that failed: {len(failed)} of {len(cells)}; their files in {out} say why.')
    if args.again:
        with refusing():
            table, verdict = repeated(read_results([args.out]), read_again([args.out]))
        console.print(Markdown(table.markdown()), verdict)
