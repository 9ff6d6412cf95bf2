#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Writes the glue code of clients/cifs as it is in the middle of the series.

pick.py GLUE OTHER NAME... takes from the C source or header GLUE what is in front of its
first function, and the functions with these NAMEs. -NAME is all but this one, - is all. The file
OTHER, if it exists, has what replaces parts of GLUE: the lines after "//@ NAME" are there instead of
the function, those after "//@ top" instead of the beginning.
"""
import os
import re
import sys


def functions(path):
    """The chunks of a source: (name, lines); the name of the first is "top" """
    chunks, lines, name = [], [], None
    for line in open(path):
        lines.append(line)
        found = re.match(r'(?:[a-z].*?\W)?\**(\w+)\(', line)
        if name is None and found and not line.startswith(('#', ' ', '\t')):
            name = found[1]
        if name is None and (found := re.match(r'(?:static const )?.*?(\w+)(?:\[\])?(?: =)? \{$', line)):
            name = found[1]
        ends = line.rstrip() in ('}', '};') if path.endswith('.c') else line.rstrip().endswith(');')
        if ends and name:
            chunks.append((name, lines))
            lines, name = [], None
    return chunks, lines


def split_top(chunks):
    """What is in front of the comment of the first function"""
    name, lines = chunks[0]
    start = max((i for i, line in enumerate(lines) if line.strip() == ''), default=-1)
    for i, line in enumerate(lines):
        if i and line.startswith(('/**', '/* ')) and lines[i - 1].strip() == '' and 'SPDX' not in line \
                and not any(rest.startswith('#') for rest in lines[i:]):
            start = i - 1
            break
    return [('top', lines[:start + 1]), (name, lines[start + 1:])] + chunks[1:]


def others(path):
    chunks = {}
    for line in open(path) if os.path.exists(path) else ():
        if line.startswith('//@ '):
            name = line[4:].strip()
            chunks[name] = []
        else:
            chunks.setdefault(name, []).append(line)
    return chunks


def main():
    glue, other, *names = sys.argv[1:]
    chunks, rest = functions(glue)
    chunks = split_top(chunks)
    replaced = others(other)
    known = [name for name, _ in chunks]
    for name in [*names, *replaced]:
        if glue.endswith('.c') and name != '-' and name.lstrip('-') not in known:
            sys.exit(f'{glue} has no {name}')
    if all(name.startswith('-') for name in names):
        names = [name for name in known if '-' + name not in names]
    text = ''
    for name, lines in chunks:
        if name == 'top' or name in names:
            text += '\n' * (name != 'top' and name in replaced) + ''.join(replaced.get(name, lines))
    text += ''.join(rest)
    if glue.endswith('.h'):
        for struct in re.findall(r'^struct (\w+);$', text, re.M):
            if not re.search(rf'struct {struct} ', text):
                text = text.replace(f'struct {struct};\n', '')
    sys.stdout.write(re.sub(r'\n{3,}', '\n\n', text).rstrip('\n') + '\n')


main()
