import { expect, it } from 'vitest';

import { partsOf, telling } from '../telling';

function texts(...inputs: string[]): string[] {
  const nodes = inputs.map((_, node) => [node, 'train', 'electron', 'COMPLETED', null] as any);
  return [...telling({ nodes, edges: [], inputs: Object.fromEntries(inputs.entries()) }).values()];
}

it('leaves out what siblings share', () => {
  expect(texts('C=0, gamma=0.7', 'C=1, gamma=0.7')).toEqual(['C=0', 'C=1']);
  expect(texts('a=1', 'a=1')).toEqual(['', '']);
  expect(texts('C=0', 'C=0, loud=True')).toEqual(['', 'loud=True']);
});

it('tells all of what an electron without siblings was given', () => {
  expect(texts('C=0, gamma=0.7')).toEqual(['C=0, gamma=0.7']);
});

it('cuts what long values share, so that the difference is seen', () => {
  expect(texts("path='/data/of/many/files/part-0001.csv'", "path='/data/of/many/files/part-0012.csv'")).toEqual([
    "path='…-0001.csv'",
    "path='…-0012.csv'"
  ]);
  expect(texts("p='/a/long/way/to/x1/and/a/long/end.csv'", "p='/a/long/way/to/y2/and/a/long/end.csv'")).toEqual([
    "p='…/to/x1/an…'",
    "p='…/to/y2/an…'"
  ]);
  expect(texts('x=1000000000000001', 'x=1000000000000002')).toEqual(['x=1000000000000001', 'x=1000000000000002']);
  expect(texts("name='first'", "name='second'")).toEqual(["name='first'", "name='second'"]);
  expect(texts("p='/data/of/many/files/a'", "p='/data/of/many/files/a/b'")[1]).toContain("/b'");
});

it('reads inputs with commas, brackets and quotes in them, also where they were cut', () => {
  expect(partsOf("s='a, b=1', p=Point(x=1, y=2), q=\"it's\", n=3")).toEqual([
    ['s', "'a, b=1'"],
    ['p', 'Point(x=1, y=2)'],
    ['q', '"it\'s"'],
    ['n', '3']
  ]);
  expect(partsOf("path='/tmp/aaa…, C=0")).toEqual([
    ['path', "'/tmp/aaa…"],
    ['C', '0']
  ]);
  expect(partsOf('')).toEqual([]);
});

it('is quick for ten thousand', () => {
  const inputs = Array.from({ length: 10_000 }, (_, i) => `path='/data/of/many/files/part-${i}.csv', C=${i % 7}, gamma=0.7`);
  const began = performance.now();
  expect(texts(...inputs)[7]).toContain('C=0');
  expect(performance.now() - began).toBeLessThan(1_500);
});
