import { expect, it } from 'vitest';

import { clock, daysAgo, elapsed, firstLine, idLength, lasted, moment, reason, shownTags, size } from '../format';
import { currentCodeCell, debugCell, resultCell, valueCell } from '../cells';
import { EVERYTHING, passes } from '../filter';
import { brief, differences } from '../inputs';
import { isSameNotebook, shortPaths, wholePath } from '../paths';
import { restWords } from '../states';
import { Status } from '../types';
import { plainTrans } from '../views/context';
import { row } from './server';

it('writes elapsed times', () => {
  expect([0, 7.9, 190, 3700, -3].map(elapsed)).toEqual(['0:00', '0:07', '3:10', '1:01:40', '0:00']);
});

it('tells how long a dispatch took by what it took, and counts seconds while it runs', () => {
  const took = (seconds: number) => lasted(row('7e05', { started: 1000, ended: 1000 + seconds }), 9999);
  expect([0.58, 1.85, 22.7, 190].map(took)).toEqual(['0.58 s', '1.9 s', '23 s', '3:10']);
  expect(lasted(row('7e05', { created: 990, started: null, ended: null }), 1007.9)).toBe('0:17');
});

it('leaves out the tag by which a sweep is found', () => {
  expect(shownTags(row('7e05', { tags: ['sweep:827c1163', 'paper'] }))).toEqual(['paper']);
});

it('counts days by the calendar, not by 24 hours', () => {
  const late = new Date(2026, 2, 28, 23, 30).getTime() / 1000;
  const early = new Date(2026, 2, 29, 0, 30).getTime() / 1000;
  expect([daysAgo(late, early), daysAgo(late, late)]).toEqual([1, 0]);
});

it('shortens ids as far as they differ, to four at least', () => {
  expect(idLength(['aaaabbbb', 'cccc1234'])).toBe(4);
  expect(idLength(['aaaabbbb', 'aaaabbcc', 'aaaabbcc'])).toBe(7);
  expect(idLength([])).toBe(4);
});

it('finds the first line that says something', () => {
  expect(firstLine('\n  \n  ValueError: x \nmore')).toBe('ValueError: x');
  expect(firstLine('')).toBe('');
});

it('says the kind of an error first', () => {
  expect(reason('split (3): ValueError: bad: worse\nbest (4): KeyError: 1')).toBe('ValueError in split: bad: worse');
  expect(reason('split (3): StopIteration:')).toBe('StopIteration in split');
  expect(reason('fit (3): ValueError: \nAll 5 fits failed.\nmore')).toBe('ValueError in fit: All 5 fits failed.');
  expect(reason('fit (3): ValueError:\nfit (4): ValueError: bad')).toBe('ValueError in fit');
  expect(reason('the disk is full')).toBe('the disk is full');
});

it('says sizes with two digits', () => {
  expect([0, 999, 1000, 9949, 9951, 1_234_567, 999_600, 3e15].map(size)).toEqual([
    '0 B', '999 B', '1.0 kB', '9.9 kB', '10 kB', '1.2 MB', '1.0 MB', '3.0 PB'
  ]);
});

it('tells runs apart by the inputs in which they differ from the runs around them', () => {
  const run = (id: string, C: string, gamma: string, lattice = 'fit') => row(id, { lattice, inputs: { C, gamma } });
  const near = differences([run('a', '1', '7'), run('x', '1', '1', 'other'), run('b', '2', '7'), run('c', '3', '7')]);
  expect(near.get('a')).toEqual([['C', '1']]);
  expect(near.get('b')).toEqual([['C', '2']]);
  expect(near.has('x')).toBe(false);
  const far = [run('a', '1', '7'), ...Array.from({ length: 9 }, (_, i) => run(`m${i}`, '2', '7')), run('z', '2', '8')];
  expect(differences(far).get('a')).toEqual([['C', '1']]);
  expect(differences(far).get('z')).toEqual([['gamma', '8']]);
});

it('knows a notebook by its whole path', () => {
  expect(wholePath('sub/work.ipynb', '/home/me')).toBe('/home/me/sub/work.ipynb');
  expect(wholePath('RTC:work.ipynb', '/home/me')).toBe('/home/me/work.ipynb');
  expect([wholePath('', '/home/me'), wholePath('work.ipynb', ''), wholePath('/x.ipynb', '/home/me')]).toEqual(['', 'work.ipynb', '/x.ipynb']);
  const inner = row('a', { notebook: '/home/me/sub/work.ipynb' });
  expect(isSameNotebook(inner.notebook, '/home/me/work.ipynb')).toBe(false);
  expect(passes(inner, { ...EVERYTHING, notebook: '/home/me/work.ipynb' })).toBe(false);
  expect(passes(inner, { ...EVERYTHING, notebook: '/home/me/sub/work.ipynb' })).toBe(true);
  expect(passes(inner, { ...EVERYTHING, notebook: 'work.ipynb' })).toBe(true); // where no more is known
});

it('shows as much of a folder as tells equal names apart', () => {
  const paths = ['/r/work.ipynb', '/r/a/sub/work.ipynb', '/r/b/sub/work.ipynb', '/r/fit.ipynb', '', 'work.ipynb'];
  expect([...shortPaths(paths)].sort()).toEqual([
    ['', ''],
    ['/r/a/sub/work.ipynb', 'a/sub/work.ipynb'],
    ['/r/b/sub/work.ipynb', 'b/sub/work.ipynb'],
    ['/r/fit.ipynb', 'fit.ipynb'],
    ['/r/work.ipynb', 'r/work.ipynb'],
    ['work.ipynb', 'work.ipynb']
  ]);
});

it('makes cells that run in a fresh kernel', () => {
  const id = '7e059a13-0000-4000-8000-000000000000';
  for (const made of [resultCell(id), resultCell(id, id), valueCell(id, 3), debugCell(id, 3), currentCodeCell(id)]) {
    expect(made).toMatch(/^import covalent_jupyter as ct\n\n.*"7e059a13"/);
  }
});

it('has one word for running the rest of what did not complete', () => {
  const words = (...states: Status[]) => restWords(states.map(status => ({ status })), plainTrans);
  expect([words('FAILED'), words('CANCELLED'), words('CANCELLED', 'FAILED'), words()]).toEqual([
    'Run Failed Again', 'Continue', 'Run Failed Again', 'Run Failed Again'
  ]);
});

it('names the day of a moment that is not of today', () => {
  const at = (...date: [number, number, number, number]) => new Date(...date).getTime() / 1000;
  const now = at(2026, 10, 26, 13);
  expect(moment(at(2026, 10, 26, 12), now)).toBe(clock(at(2026, 10, 26, 12)));
  expect(moment(at(2026, 10, 25, 23), now)).toMatch(/25/);
  expect(moment(at(2026, 10, 25, 23), now)).not.toMatch(/2026/);
  expect(moment(at(2025, 10, 26, 12), now)).toMatch(/2025/);
});

it('shows of long values where they differ', () => {
  expect(brief("'/tmp/audit/run/go1'", ["'/tmp/audit/run/go2'", "'/x'"])).toBe("'…go1'");
  expect(brief("'/tmp/audit/first/go'", ["'/tmp/audit/second/go'"])).toBe("'…first/go'");
  expect(brief('0.1', ['0.2'])).toBe('0.1');
  expect(brief("'a long text of its own'", ["'another'"])).toBe("'a long text of its own'");
  expect(brief('aaaaaaaaaaaaaaaaaaaaaaaaaaaab', ['aaaaaaaaaaaaaaaaaaaaaaaaaaaac'])).toBe('…aaab');
  expect(brief("'/tmp/audit/run'", [])).toBe("'/tmp/audit/run'");
  const rows = ['go1', 'go2'].map(end => row(end, { inputs: { path: `'/tmp/audit/run/${end}'` } }));
  expect(differences(rows).get('go1')).toEqual([['path', "'/tmp/audit/run/go1'", "'…go1'"]]);
});
