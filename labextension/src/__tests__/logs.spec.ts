import { describe, expect, it } from 'vitest';

import { folded, spansOf } from '../views/ansi';
import { Logbook, MOST_LINES } from '../views/logbook';

function said(book: Logbook): string[] {
  return book.lines.map(line => line.spans.map(span => span.text).join(''));
}

describe('spansOf', () => {
  it('keeps colours as names, and what follows them', () => {
    expect(spansOf('a\u001b[31mred\u001b[1;32mgreen\u001b[0m end').spans).toEqual([
      { text: 'a' },
      { text: 'red', colour: 'red' },
      { text: 'green', colour: 'green', bold: true },
      { text: ' end' }
    ]);
    expect(spansOf('\u001b[38;5;196;1mbold').spans).toEqual([{ text: 'bold', bold: true }]);
  });

  it('leaves out whatever else a terminal would obey', () => {
    const hostile = 'a\u001b[2J\u001b]0;title\u0007b\u001b]8;;http://evil\u001b\\c\u0007\u202ed\u0000';
    expect(spansOf(hostile).spans.map(span => span.text).join('')).toBe('abcd');
  });

  it('leaves markup as the text that it is', () => {
    expect(spansOf('<img src=x onerror=alert(1)>').spans).toEqual([{ text: '<img src=x onerror=alert(1)>' }]);
  });
});

it('folds what a carriage return begins anew', () => {
  expect(folded('10%\r20%\r30%')).toBe('30%');
  expect(folded('10%\r20%\r')).toBe('20%');
  expect(folded('plain')).toBe('plain');
});

describe('Logbook', () => {
  it('puts pieces of a line together, whoever prints in between', () => {
    const book = new Logbook();
    book.add(1, 'stdout', 'hel');
    book.add(2, 'stdout', 'other\n');
    book.add(1, 'stdout', 'lo\nnext');
    expect(said(book)).toEqual(['hello', 'other', 'next']);
  });

  it('folds a bar to its last state across pieces', () => {
    const book = new Logbook();
    book.add(1, 'stderr', 'epoch 10%\r');
    book.add(1, 'stderr', 'epoch 60%\r');
    book.add(1, 'stderr', 'epoch 100%\ndone\n');
    expect(said(book)).toEqual(['epoch 100%', 'done']);
  });

  it('takes a colour over to the next line', () => {
    const book = new Logbook();
    book.add(1, 'stdout', '\u001b[31mred\nstill\u001b[0m not\n');
    expect(book.lines[1].spans).toEqual([{ text: 'still', colour: 'red' }, { text: ' not' }]);
  });

  it('takes Windows line ends, and keeps empty lines', () => {
    const book = new Logbook();
    book.add(1, 'stdout', 'a\r\n\r\nb\r\n');
    expect(said(book)).toEqual(['a', '', 'b']);
  });

  it('keeps the last lines of very many', () => {
    const book = new Logbook();
    book.add(1, 'stdout', Array.from({ length: MOST_LINES * 1.2 }, (_, i) => `${i}\n`).join(''));
    expect(book.lines.length).toBe(MOST_LINES);
    expect(book.dropped).toBe(MOST_LINES * 0.2);
  });

  it('tells whose lines they are where there are several', () => {
    const book = new Logbook();
    book.add(1, 'stdout', 'a\n');
    expect(book.text(book.lines, () => 'train')).toBe('a\n');
    book.add(2, 'stdout', 'b\n');
    expect(book.text(book.lines, () => 'train')).toBe('[train 1] a\n[train 2] b\n');
  });
});
