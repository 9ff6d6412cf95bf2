#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Reads the mutants of *.mut and puts them into the sources of atlas and window; see README.

mutate.py TREE                   checks that each mutant applies
mutate.py TREE list [WORD...]    prints the names of all mutants, or of those with a WORD
mutate.py TREE show NAME FIELD   prints a field: bug, caught-by or in (functions and files)
mutate.py TREE apply NAME        changes the sources in TREE, prints a diff
"""

import difflib
import glob
import os
import re
import sys

# Comments, strings, characters, words, other characters; spaces and \ at a line's end are none.
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|\w+|\\\n|[^\w\s]', re.S)
# A mutant may leave a variable unused, or statements where they look guarded by an if.
QUIET = ''.join(f'#pragma GCC diagnostic ignored "-W{name}"\n' for name in (
    'unused-variable', 'unused-but-set-variable', 'unused-function', 'misleading-indentation'))


def read_mutants(path):
    """Each mutant is a dict of its fields; its blocks are [place, removed, added]."""
    mutants, place, last = [], None, ''
    for number, line in enumerate(open(path, encoding='utf-8'), 1):
        if not line.strip() or line[0] == '#':
            continue
        field = re.match(r'(mutant|bug|caught-by|in): (.*)', line)
        if field and field[1] == 'mutant':
            mutants.append({'mutant': field[2], 'blocks': []})
        elif field and field[1] == 'in':
            place = field[2]
        elif field:
            mutants[-1][field[1]] = field[2]
        elif line[0] == '-':
            if last != '-':
                mutants[-1]['blocks'].append([place, '', ''])
            mutants[-1]['blocks'][-1][1] += line[1:]
        elif line[0] == '+' and last in '-+':
            mutants[-1]['blocks'][-1][2] += line[1:]
        else:
            sys.exit(f'{path}:{number}: not understood: {line.strip()}')
        last = line[0]
    for m in mutants:
        if not (m.get('bug') and m['blocks'] and
                re.match(r'(model|litmus|kunit|guest) ', m.get('caught-by', ''))):
            sys.exit(f"{path}: {m['mutant']}: needs bug:, caught-by: model|litmus|kunit|guest WHICH, in:, - and +")
    return mutants


def tokens(text):
    return [t for t in TOKEN.finditer(text) if t[0][:2] not in ('/*', '//', '\\\n')]


def spans(place, name, text):
    """Where in the file the place is: a file, a struct or enum, a macro or a function."""
    if place == name:
        return [(0, len(text))]
    if re.match(r'(struct|enum) ', place):
        pattern = rf'^{place} \{{.*?^\}}'
    elif place.startswith('#define '):
        pattern = rf'^{place}\b(?:[^\n]*\\\n)*[^\n]*'
    else:
        pattern = rf'^(?:[A-Za-z][^\n;(]*[ *])?{place}\([^;{{}}]*\)\s*?\n\{{.*?^\}}'
    return [m.span() for m in re.finditer(pattern, text, re.M | re.S)]


def matches(sources, place, removed):
    """(file, begin, end) of each place where these tokens are."""
    wanted = [t[0] for t in tokens(removed)]
    for name, text in sources.items():
        for begin, end in spans(place, name, text):
            there = [t for t in tokens(text[begin:end])]
            for i in range(len(there) - len(wanted) + 1):
                if [t[0] for t in there[i:i + len(wanted)]] == wanted:
                    yield name, begin + there[i].start(), begin + there[i + len(wanted) - 1].end()


def mutate(sources, mutant):
    new = dict(sources)
    for place, removed, added in mutant['blocks']:
        found = list(matches(new, place, removed))
        if len(found) != 1:
            known = any(spans(place, name, text) for name, text in new.items())
            return None, (f"{mutant['mutant']}: {len(found)} times in {place}: {removed.strip()}" if known
                          else f"{mutant['mutant']}: there is no {place}")
        name, begin, end = found[0]
        new[name] = new[name][:begin] + added.strip() + new[name][end:]
    return {name: text for name, text in new.items() if text != sources[name]}, None


def main():
    tree, command, *words = sys.argv[1:] + ['check'] * (len(sys.argv) == 2)
    here = os.path.dirname(__file__)
    mutants = [m for name in ('atlas.mut', 'window.mut') for m in read_mutants(os.path.join(here, name))]
    if command == 'list':
        print(*[m['mutant'] for m in mutants if not words or any(w in m['mutant'] for w in words)], sep='\n')
        return
    if words:
        mutants = [m for m in mutants if m['mutant'] == words[0]]
    if command == 'show':
        print(mutants[0].get(words[1]) or '\n'.join(sorted({b[0] for b in mutants[0]['blocks']})))
        return
    names = [n for p in ('mid*.[ch]', 'atlas/*.h', 'window/*.h') for n in sorted(glob.glob(p, root_dir=tree))]
    sources = {name: open(os.path.join(tree, name), encoding='utf-8').read() for name in names}
    results = [mutate(sources, m) for m in mutants]
    errors = [error for _, error in results if error]
    if errors:
        sys.exit('\n'.join(errors))
    for name, text in results[0][0].items() if command == 'apply' else ():
        sys.stdout.writelines(difflib.unified_diff(sources[name].splitlines(True), text.splitlines(True), name, name))
        with open(os.path.join(tree, name), 'w', encoding='utf-8') as f:
            f.write(QUIET + text)


main()
