"""The parts of the set-up that need neither a network nor a compiler."""

import io
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
sys.path.insert(0, str(TOOLS))

from environment import mmcv_build, plan, torch_choice  # noqa: E402
from environment.commands import run  # noqa: E402
from environment.console import Progress, clock  # noqa: E402
from environment.failures import SetupError, explain, failure  # noqa: E402
from environment.mmcv_build import Torch  # noqa: E402
from environment.mmcv_wheel import WheelCache, cache_key, cache_root  # noqa: E402
from environment.venv import CHOICES, Venv, alone  # noqa: E402

ROOT = TOOLS.parent
CPU = Torch('2.13.0+cpu', '', '')
GPU = Torch('2.13.0+cu130', '13.0', '8.0;9.0')


@pytest.fixture(autouse=True)
def no_choices(monkeypatch):
    for name in (*CHOICES, 'MMEST_FIND_LINKS', 'CXX', 'MAX_JOBS'):
        monkeypatch.delenv(name, raising=False)


class TestWheelCache:
    def test_key_names_all_that_a_compiled_mmcv_depends_on(self):
        keys = {
            cache_key(*arguments)
            for arguments in (
                ('mmcv2.1.0', CPU, False, 'cp311', 'linux-x86_64'),
                ('mmcv2.2.0', CPU, False, 'cp311', 'linux-x86_64'),
                ('mmcv2.1.0', GPU, True, 'cp311', 'linux-x86_64'),
                ('2.1.0', GPU, False, 'cp311', 'linux-x86_64'),
                ('mmcv2.1.0', Torch(GPU.version, GPU.cuda, '9.0'), True, 'cp311', 'linux-x86_64'),
                ('mmcv2.1.0', Torch('2.13.1+cpu', '', ''), False, 'cp311', 'linux-x86_64'),
                ('mmcv2.1.0', CPU, False, 'cp312', 'linux-x86_64'),
                ('2.1.0', CPU, False, 'cp311', 'macosx-14.0-arm64'),
            )
        }
        assert len(keys) == 8

    def test_key_is_a_folder_name(self):
        assert cache_key('mmcv2.1.0', GPU, True, 'cp311', 'linux-x86_64') == (
            'mmcv2.1.0-torch2.13.0+cu130-cuda13.0-sm8.0_9.0-cp311-linux-x86_64'
        )

    def test_wheel_is_kept_whole_or_not_at_all(self, tmp_path, monkeypatch):
        wheel = tmp_path / 'mmcv-2.1.0-cp311-cp311-linux_x86_64.whl'
        wheel.write_bytes(b'wheel')
        cache = WheelCache(tmp_path / 'cache', 'key')
        assert cache.get() is None

        def cut_off(source, target):
            Path(target).write_bytes(b'wh')
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr('shutil.copyfile', cut_off)
            with pytest.raises(KeyboardInterrupt):
                cache.put(wheel)
        assert cache.get() is None
        cache.put(wheel)
        assert cache.get().read_bytes() == b'wheel'
        cache.discard()
        assert cache.get() is None

    def test_root_follows_the_cache_directory(self, tmp_path, monkeypatch):
        monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
        assert cache_root() == tmp_path / 'mmest'
        monkeypatch.setenv('XDG_CACHE_HOME', '')
        assert cache_root() == Path.home() / '.cache' / 'mmest'


class TestBuild:
    @pytest.mark.parametrize(
        'version, standard',
        [('2.13.0+cpu', 'c++20'), ('2.11.0', 'c++20'), ('2.10.1', 'c++17'), ('3.0', 'c++20'), ('2.9.0+cu128', 'c++17')],
    )
    def test_standard_follows_torch(self, version, standard):
        assert mmcv_build.cpp_standard(version) == standard

    def test_every_standard_of_the_sources_is_replaced(self):
        text = "cxx = ['-std=c++14']\nnvcc = ['-std=c++17']\nwindows = ['/std:c++14']\n"
        assert (
            mmcv_build.patch_setup(text, 'c++20')
            == "cxx = ['-std=c++20']\nnvcc = ['-std=c++20']\nwindows = ['/std:c++20']\n"
        )

    def test_unknown_sources_are_refused(self):
        with pytest.raises(SetupError, match='names no C.. standard'):
            mmcv_build.patch_setup('from setuptools import setup', 'c++20')

    @pytest.mark.parametrize('cores, memory, expected', [(2, 16, 2), (64, 16, 10), (8, 1, 1), (1, 64, 1), (8, -1, 1)])
    def test_jobs_are_bounded_by_cores_and_memory(self, cores, memory, expected):
        assert mmcv_build.jobs(cores, memory) == expected

    def test_memory_is_found(self):
        assert 0 < mmcv_build.free_memory() < 1e5

    def test_cpu_build_hides_the_gpu_and_cuda_build_names_the_toolkit(self, tmp_path, monkeypatch):
        env = mmcv_build.build_environment(tmp_path / 'python', 'c++20', None)
        assert (env['FORCE_CUDA'], env['CUDA_VISIBLE_DEVICES']) == ('0', '') and env['PATH'].startswith(str(tmp_path))
        env = mmcv_build.build_environment(tmp_path / 'python', 'c++20', tmp_path)
        assert (env['FORCE_CUDA'], env['CUDA_HOME']) == ('1', str(tmp_path))
        monkeypatch.setenv('MAX_JOBS', '1')
        assert mmcv_build.build_environment(tmp_path / 'python', 'c++20', None)['MAX_JOBS'] == '1'

    def test_cuda_follows_the_variable_then_the_machine(self, monkeypatch):
        monkeypatch.setattr('shutil.which', lambda name: None)
        assert not mmcv_build.wants_cuda(GPU, '') and not mmcv_build.wants_cuda(CPU, '')
        assert mmcv_build.wants_cuda(GPU, '1') and not mmcv_build.wants_cuda(GPU, '0')
        with pytest.raises(SetupError, match='built without CUDA'):
            mmcv_build.wants_cuda(CPU, '1')
        with pytest.raises(SetupError, match="is 'yes', but 1"):
            mmcv_build.wants_cuda(GPU, 'yes')

    def test_toolkit_of_the_major_version_of_torch_is_found(self, tmp_path, monkeypatch):
        nvcc = tmp_path / 'bin' / 'nvcc'
        nvcc.parent.mkdir()
        nvcc.write_text('#!/bin/sh\necho "Cuda compilation tools, release 99.1, V99.1.2"\n')
        nvcc.chmod(0o755)
        monkeypatch.setenv('CUDA_HOME', str(tmp_path))
        assert mmcv_build.find_cuda_home('99.4') == tmp_path
        with pytest.raises(SetupError, match=r'nvcc of CUDA 98 was not found \(found only 99.1 in .*MMEST_CUDA=0'):
            mmcv_build.find_cuda_home('98.0')

    def test_missing_compiler_is_named(self, monkeypatch):
        monkeypatch.setenv('CXX', 'no-such-compiler')
        with pytest.raises(SetupError, match=r'no working C\+\+ compiler \(no-such-compiler\).*apt install g\+\+'):
            mmcv_build.check_compiler(Path(sys.executable), 'c++20')

    @pytest.mark.parametrize(
        'refused, message', [('-std=c++20', 'does not accept -std=c[+][+]20'), ('-I', 'Python.h.*python3-dev')]
    )
    def test_old_compiler_and_missing_headers_are_named(self, refused, message, tmp_path, monkeypatch):
        compiler = tmp_path / 'compiler'
        compiler.write_text(f'#!/bin/sh\ncase "$*" in *{refused}*) exit 1;; esac\n')
        compiler.chmod(0o755)
        monkeypatch.setenv('CXX', str(compiler))
        with pytest.raises(SetupError, match=message):
            mmcv_build.check_compiler(Path(sys.executable), 'c++20')


class TestFailures:
    @pytest.mark.parametrize(
        'output, advice',
        [
            ('c++: fatal error: Killed signal terminated program cc1plus', 'MAX_JOBS=1'),
            ('cc1plus: out of memory allocating 65536 bytes', 'MAX_JOBS=1'),
            ('a.cpp:1:10: fatal error: Python.h: No such file or directory', '-dev'),
            ('OSError: [Errno 28] No space left on device', 'Make room'),
            (
                'NewConnectionError: Failed to establish a new connection: [Errno -3] Temporary failure in name '
                'resolution',
                'HTTPS_PROXY',
            ),
            ('ERROR: No matching distribution found for torch==2.13.0', 'offer no torch==2.13.0'),
        ],
    )
    def test_known_causes_give_advice(self, output, advice):
        assert advice in explain(output)
        assert '\n' not in explain(output)

    def test_unknown_cause_quotes_the_first_error_and_names_the_log(self, tmp_path):
        message = str(failure('Building mmcv', 'fine\nerror: this\nerror: that\n', tmp_path / 'log', 1))
        assert (
            message.startswith('Building mmcv failed.')
            and '"error: this"' in message
            and str(tmp_path / 'log') in message
        )

    def test_a_command_that_was_killed_is_not_blamed_on_its_output(self, tmp_path):
        message = str(failure('Building mmcv', 'c++ -o error.o error.cpp\n', tmp_path / 'log', -15))
        assert 'ended from outside, by SIGTERM' in message and 'error.cpp' not in message

    def test_failed_command_keeps_its_output(self, tmp_path):
        with pytest.raises(SetupError) as caught:
            run([sys.executable, '-c', 'raise ValueError("x")'], 'Trying', tmp_path / 'log')
        assert 'ValueError: x' in caught.value.output and 'ValueError: x' in (tmp_path / 'log').read_text()

    def test_interrupted_command_ends_with_all_that_it_started(self, tmp_path):
        def stop(line):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(
                ['sh', '-c', f'(sleep 1; touch {tmp_path}/late) & echo started; wait'],
                'Waiting',
                tmp_path / 'log',
                stop,
            )
        time.sleep(1.5)
        assert not (tmp_path / 'late').exists(), 'the child went on'

    def test_each_example_of_the_help_is_one_command(self):
        said = subprocess.run([sys.executable, TOOLS / 'setup_env.py', '--help'], capture_output=True, text=True).stdout
        examples = said.partition('Examples:\n')[2].partition('\n\n')[0].splitlines()
        commands = [line.partition('#')[0].split() for line in examples]
        assert all(words.count('make') == 1 and words[-1:] in (['setup'], ['STACK=onedl']) for words in commands)

    def test_old_python_gets_a_sentence(self):
        text = (TOOLS / 'setup_env.py').read_text()
        code = text.replace('sys.version_info', '(3, 8, 1)').replace("__name__ == '__main__'", 'False')
        result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
        assert (
            result.returncode == 1 and 'needs Python 3.10 or later' in result.stderr and 'Python 3.8' in result.stderr
        )


class TestTorchChoice:
    @pytest.mark.parametrize(
        'environment, config, expected',
        [
            ({}, '', False),
            ({'PIP_FIND_LINKS': '/wheels'}, '', True),
            ({'PIP_INDEX_URL': 'file:///index'}, '', True),
            ({}, "global.extra-index-url='file:///index'", True),
            ({}, "global.cert='/cert'", False),
            ({'PIP_FIND_LINKS': ''}, '', False),
        ],
    )
    def test_own_sources_of_pip_are_seen(self, environment, config, expected):
        assert torch_choice.has_own_sources(environment, config) is expected

    def test_too_old_torch_is_refused(self, tmp_path, monkeypatch):
        (tmp_path / 'torch.py').write_text("__version__ = '1.13.1'\n")
        monkeypatch.setenv('PYTHONPATH', str(tmp_path))
        with pytest.raises(SetupError, match='which is 1.13.1, but 2.4 or later'):
            torch_choice.existing_torch(sys.executable)

    def test_missing_torch_is_said(self, tmp_path, monkeypatch):
        (tmp_path / 'torch.py').write_text("raise ImportError('no torch here')\n")
        monkeypatch.setenv('PYTHONPATH', str(tmp_path))
        with pytest.raises(SetupError, match='cannot import torch .*no torch here'):
            torch_choice.existing_torch(sys.executable)


class TestRecord:
    def venv(self, tmp_path):
        root = tmp_path / '.venv'
        if not root.exists():
            (root / 'bin').mkdir(parents=True)
            (root / 'bin' / 'python').symlink_to(sys.executable)
            (root / 'setup.json').write_text('{"choices": {}, "done": {}}')
        return Venv(root)

    def test_foreign_environment_is_left_alone(self, tmp_path):
        (tmp_path / '.venv').mkdir()
        (tmp_path / '.venv' / 'pyvenv.cfg').touch()
        with pytest.raises(SetupError, match='not made by this set-up'):
            Venv(tmp_path / '.venv')

    def test_removal_that_was_cut_off_is_finished(self, tmp_path, monkeypatch):
        venv = self.venv(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr('shutil.rmtree', Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                venv.create('a', None)
        commands = Mock()
        monkeypatch.setattr('environment.venv.run', commands)
        self.venv(tmp_path).create('a', None)
        assert commands.called and not (tmp_path / '.venv.discarded').exists()

    def test_second_waits_for_the_commands_of_a_killed_first(self, tmp_path, capsys):
        code = (
            'import os, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from environment.venv import '
            'alone; '
            'from environment.commands import run; root = Path(sys.argv[2])\n'
            'with alone(root / ".venv"): run(["sh", "-c", "echo on; sleep 1.5; touch ended"], "x", root / "log", '
            'lambda _: os.kill(os.getpid(), 9), cwd=root)'
        )
        subprocess.run([sys.executable, '-c', code, str(TOOLS), str(tmp_path)], stderr=subprocess.DEVNULL)
        assert not (tmp_path / 'ended').exists(), 'the first was not killed amid its command'
        with alone(tmp_path / '.venv'):
            assert (tmp_path / 'ended').exists()
        assert 'another set-up' in capsys.readouterr().out

    def test_step_is_finished_for_its_inputs_alone(self, tmp_path):
        self.venv(tmp_path).finish('torch', 'a')
        assert self.venv(tmp_path).finished('torch', 'a') and not self.venv(tmp_path).finished('torch', 'b')

    def test_cut_off_install_is_not_taken_for_done(self, tmp_path):
        venv = self.venv(tmp_path)
        venv.finish('torch', 'a')
        with pytest.raises(KeyboardInterrupt), venv.installing():
            raise KeyboardInterrupt
        assert not self.venv(tmp_path).finished('torch', 'a')

    def test_failed_install_keeps_what_was_done_before(self, tmp_path):
        venv = self.venv(tmp_path)
        venv.finish('torch', 'a')
        with pytest.raises(SetupError), venv.installing():
            raise SetupError('no')
        assert self.venv(tmp_path).finished('torch', 'a')

    def test_environment_whose_python_went_away_is_made_anew(self, tmp_path):
        self.venv(tmp_path).finish('torch', 'a')
        python = tmp_path / '.venv' / 'bin' / 'python'
        python.unlink()
        python.symlink_to(tmp_path / 'gone')
        assert not self.venv(tmp_path).finished('torch', 'a')

    def test_choices_hold_until_others_are_made(self, tmp_path, monkeypatch):
        monkeypatch.setenv('MMEST_TORCH', 'existing')
        self.venv(tmp_path).finish('venv', 'a')
        monkeypatch.delenv('MMEST_TORCH')
        assert self.venv(tmp_path).choices['MMEST_TORCH'] == 'existing'
        monkeypatch.setenv('MMEST_TORCH', '')
        assert self.venv(tmp_path).choices['MMEST_TORCH'] == ''

    def test_a_choice_changes_its_step_and_those_after_it(self):
        before, after = (
            plan.step_inputs(ROOT, 'openmmlab', {'PYTHON': '', 'MMEST_TORCH': torch, 'MMEST_CUDA': ''})
            for torch in ('', 'torch==2.9.1')
        )
        assert [step for step in before if before[step] != after[step]] == ['torch', 'packages', 'mmcv', 'mmest']

    def test_a_stack_has_its_own_packages_and_all_that_is_asked_of_it(self):
        choices = {'PYTHON': '', 'MMEST_TORCH': '', 'MMEST_CUDA': ''}
        ours, forks = (plan.step_inputs(ROOT, stack, choices) for stack in ('openmmlab', 'onedl'))
        assert [step for step in ours if ours[step] != forks[step]] == ['packages', 'mmcv', 'mmest']
        assert len(set(plan.ENVIRONMENTS.values())) == len(plan.ENVIRONMENTS) == len(plan.MODULES)
        for stack in plan.ENVIRONMENTS:
            for file, name in (
                ('mmcv', 'mmcv'),
                ('packages', 'mmengine'),
                ('packages', 'mmsegmentation'),
                ('packages', 'opencv-python'),
            ):
                assert plan.pinned(ROOT / f'requirements/{stack}/{file}.txt', name)


def test_progress_in_a_log_prints_every_twentieth():
    stream = io.StringIO()
    progress = Progress('compiling', stream)
    for done in range(1, 201):
        progress.update(done, 200)
    lines = stream.getvalue().splitlines()
    assert 20 <= len(lines) <= 21 and '200/200 100%' in lines[-1]


def test_clock():
    assert clock(59.9) == '0:59' and clock(754) == '12:34'


def test_pins_are_exact():
    for file in (ROOT / 'requirements').rglob('*.txt'):
        for line in file.read_text().splitlines():
            assert line.startswith('#') or '==' in line.split(';')[0], f'{file.name}: {line}'
