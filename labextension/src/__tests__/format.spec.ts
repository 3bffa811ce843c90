import { expect, it } from 'vitest';

import { daysAgo, elapsed, firstLine, idLength, reason, size } from '../format';
import { differences } from '../inputs';
import { row } from './server';

it('writes elapsed times', () => {
  expect([0, 7.9, 190, 3700, -3].map(elapsed)).toEqual(['0:00', '0:07', '3:10', '1:01:40', '0:00']);
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
