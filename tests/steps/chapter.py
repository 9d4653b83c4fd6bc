#!/usr/bin/env python3
"""Holds a chapter against the truth.

    chapter.py --source DIR --bin DIR chapter.md

Code blocks that name a file (```cpp lib/process/spawn.cpp) must stand in it word for word; a line with only an ellipsis
stands for lines left out. The files, functions and tests that the prose names must exist. Console blocks are executed, in one bash for the whole chapter, in an empty directory, with
the programs in PATH; what a command prints must be what follows it. An ellipsis within a line stands for any text, on
a line of its own for any lines. A comment <!-- needs: PROGRAM ... --> names what must be installed, else the chapter is
skipped. --fill writes the output into blocks whose output is a single "?".
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ELLIPSIS = "…"
MAX_LINES = 350        # of a chapter
MAX_QUOTATION = 25     # lines
SECONDS = 60           # for one command


def blocks(lines):
    """Yields (first line number, info string, lines) for each fenced block."""
    start = None
    for number, line in enumerate(lines):
        if line.startswith("```"):
            if start is None:
                start, info = number, line[3:].strip()
            else:
                yield start, info, lines[start + 1:number]
                start = None


def check_quotation(source, name, quotation):
    path = source / name
    if not path.is_file():
        return f"there is no {name}"
    if len(quotation) > MAX_QUOTATION:
        return f"the quotation of {name} has {len(quotation)} lines, more than {MAX_QUOTATION}"
    text = path.read_text()
    position = 0
    part = []
    for line in quotation + [ELLIPSIS]:
        if line.strip() != ELLIPSIS:
            part.append(line)
            continue
        wanted = "\n".join(part)
        found = text.find(wanted, position)
        if found < 0:
            return f"{name} does not say:\n{wanted}"
        position = found + len(wanted)
        part = []
    return None


def check_names(source, text):
    """Files, functions and tests that a chapter names in its prose are there."""
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    code = "\n".join(path.read_text(errors="replace") for folder in ("lib", "steps") for path in sorted((source / folder).rglob("*.[ch]*")))
    tests = "\n".join(path.read_text() for path in sorted((source / "tests").rglob("*_test.cpp")))
    for name in sorted(set(re.findall(r"`((?:lib|steps|tests)/[\w./-]+)`", prose))):
        if not (source / name).exists():
            yield f"there is no {name}"
    for name in sorted(set(re.findall(r"`(?:\w+::)?(\w+)\(\)`", prose))):
        if not re.search(rf"\b{name}\(", code):
            yield f"there is no function {name}()"
    for suite, name in sorted(set(re.findall(r"`([A-Z]\w+)\.([A-Z]\w+)`", prose))):
        if not re.search(rf"\({suite}, {name}\)", tests):
            yield f"there is no test {suite}.{name}"


def pattern_of(lines):
    """The expected output as a regular expression."""
    result = ""
    for line in lines:
        if line.strip() == ELLIPSIS:
            result += r"(?:[^\n]*\n)*?"
        else:
            result += ".*?".join(re.escape(part) for part in line.rstrip().split(ELLIPSIS)) + r"[ \t]*\n"
    return result + r"\Z"


class Shell:
    """One bash in which all commands of a chapter run."""

    def __init__(self, programs, directory):
        environment = {"PATH": f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": directory,
                       "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "TERM": "dumb", "PS1": "$ "}
        self.command_file = tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False)
        self.bash = subprocess.Popen(["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=directory,
                                     env=environment, text=True, start_new_session=True)

    def run(self, command):
        pathlib.Path(self.command_file.name).write_text(command + "\n")
        mark = "=== the command has ended ==="
        self.bash.stdin.write(f". {self.command_file.name} </dev/null 2>&1; _status=$?; "
                              f"printf '\\n%s\\n' '{mark}'; (exit $_status)\n")
        self.bash.stdin.flush()
        signal.alarm(SECONDS)
        output = ""
        while not output.endswith(f"\n{mark}\n"):
            line = self.bash.stdout.readline()
            if not line:
                raise RuntimeError(f"the shell ended in: {command}\n{output}")
            output += line
        signal.alarm(0)
        output = output[:-len(mark) - 2]
        return output + "\n" if output and not output.endswith("\n") else output

    def close(self):
        try:
            self.bash.stdin.close()
            self.bash.wait(5)
        finally:
            os.unlink(self.command_file.name)


def commands_of(lines):
    """Splits a console block into [command, expected lines]."""
    result = []
    for line in lines:
        if line.startswith("$ "):
            result.append([line[2:], []])
        elif result and result[-1][0].endswith("\\") and not result[-1][1]:
            result[-1][0] += "\n" + line
        elif result:
            result[-1][1].append(line)
    return result


def check(arguments):
    path = pathlib.Path(arguments.chapter)
    lines = path.read_text().split("\n")
    problems = []
    if len(lines) > MAX_LINES + 1:
        problems.append(f"{path}: {len(lines)} lines, more than {MAX_LINES}")
    problems += [f"{path}: {problem}" for problem in check_names(pathlib.Path(arguments.source), "\n".join(lines))]
    filled = {}
    with tempfile.TemporaryDirectory(prefix="jigsaw-chapter-") as directory:
        os.chmod(directory, 0o755)
        shell = Shell(os.path.abspath(arguments.bin), directory)
        for number, info, block in blocks(lines):
            words = info.split()
            if len(words) == 2 and "/" in words[1]:
                problem = check_quotation(pathlib.Path(arguments.source), words[1], block)
                if problem:
                    problems.append(f"{path}:{number + 1}: {problem}")
            if words[:1] != ["console"] or arguments.quotations:
                continue
            for command, expected in commands_of(block):
                try:
                    output = shell.run(command)
                except TimeoutError:
                    print(f"{path}:{number + 1}: $ {command}\n  does not end within {SECONDS} seconds")
                    os.killpg(shell.bash.pid, signal.SIGKILL)
                    return 1
                if expected == ["?"]:
                    filled[(number, command)] = output
                elif not re.match(pattern_of(expected), output):
                    wanted = "\n".join("    " + line for line in expected)
                    got = "\n".join("    " + line for line in output.rstrip("\n").split("\n"))
                    problems.append(f"{path}:{number + 1}: $ {command}\n  should print\n{wanted}\n  but prints\n{got}")
        shell.close()
    if arguments.fill and filled:
        result = []
        where = None
        for number, line in enumerate(lines):
            if line.startswith("```console"):
                where = number
            if line == "?" and result and (where, result[-1][2:]) in filled:
                result += filled[(where, result[-1][2:])].rstrip("\n").split("\n")
            else:
                result.append(line)
        path.write_text("\n".join(result))
    elif filled:
        problems.append(f"{path}: a console block has no output yet")
    print("\n".join(problems) or f"{path}: all true")
    return 1 if problems else 0


def on_alarm(*_):
    raise TimeoutError


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--fill", action="store_true")
    parser.add_argument("--quotations", action="store_true", help="do not execute console blocks")
    parser.add_argument("chapter")
    arguments = parser.parse_args()
    if os.geteuid() != 0 and not arguments.quotations:
        print("console blocks are executed as root: skipped")
        sys.exit(77)
    needs = re.search(r"<!-- needs: (.*?) -->", pathlib.Path(arguments.chapter).read_text())
    missing = [program for program in (needs.group(1).split() if needs else []) if not shutil.which(program)]
    if missing and not arguments.quotations:
        print(f"not installed: {' '.join(missing)}: skipped")
        sys.exit(77)
    signal.signal(signal.SIGALRM, on_alarm)
    sys.exit(check(arguments))


if __name__ == "__main__":
    main()
