import { Signal } from '@lumino/signaling';
import * as React from 'react';
import { createRoot, Root } from 'react-dom/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { DispatchModel } from '../dispatch';
import { Link } from '../source';
import { ElectronRow, Status } from '../types';
import { plainTrans, SurroundingsProvider } from '../views/context';
import { Logs } from '../views/logs';
import { Sources } from '../views/sources';
import { electron } from './rows';
import { row } from './server';

/** A dispatch of which everything but its manifest is known. */
class Known {
  readonly id = '7e05';
  readonly changed = new Signal<Known, void>(this);
  readonly logs = new Map();
  readonly complete = true;
  readonly problem = '';
  electrons = new Map<number, ElectronRow>();
  revision = 1;
  link: Link = 'online';
  presence = 'here';
  row = row('7e05');

  constructor(readonly request: () => Promise<unknown>) {}

  readonly linkChanged = this.changed;
  readonly source = this as unknown as DispatchModel['source'];
  want(): void {}
  inputsOf(): string {
    return '';
  }

  becomes(changes: Partial<Pick<Known, 'link' | 'presence' | 'electrons' | 'revision'>>): void {
    Object.assign(this, changes);
    this.changed.emit();
  }
}

let place: HTMLElement;
let root: Root;

beforeEach(() => {
  place = document.createElement('div');
  document.body.append(place);
  root = createRoot(place);
});

afterEach(() => {
  root.unmount();
  place.remove();
});

function draw(view: typeof Sources | typeof Logs, known: Known): void {
  const model = known as unknown as DispatchModel;
  const props = { model, chosen: null, onChoose: () => undefined };
  root.render(
    React.createElement(
      SurroundingsProvider,
      { value: { trans: plainTrans, actions: {}, source: known.source } },
      React.createElement(view as React.FunctionComponent<typeof props>, props)
    )
  );
}

const says = (text: string) => vi.waitFor(() => expect(place.textContent).toContain(text), { timeout: 10_000 });

it('reads the source as soon as the service is there again', async () => {
  const request = vi.fn(async (): Promise<unknown> => Promise.reject(new Error('the Covalent service does not run')));
  const known = new Known(request);
  draw(Sources, known);
  await says('does not run');
  known.becomes({ link: 'stopped' });
  await says('as soon as the service runs again');
  expect(place.querySelector('button')).toBeNull(); // the page has one that starts it
  request.mockImplementation(async () => ({ lattice: { name: 'f', source: 'def f(): ...' }, nodes: [], environment: null }));
  known.becomes({ link: 'online' });
  await says('def f()');
});

it('names the cell in which code was written, not the file that a kernel makes of it', async () => {
  const cell = { source: 'def f(): ...', file: '/tmp/ipykernel_25384/1797045284.py', line: 12 };
  const functions = [{ name: 'g', ...cell }];
  const manifest = { lattice: { name: 'f', ...cell, place: 'Cell In[2]' }, functions, nodes: [{ function: 0 }], environment: null };
  draw(Sources, new Known(async () => manifest));
  await says('Cell In[2], line 12');
  await says('a notebook’s cell, line 12');
});

it('says of what was deleted with the dispatch how to have it again', async () => {
  const known = new Known(() => Promise.reject(new Error("no dispatch '7e05'; the newest are a31d (outer)")));
  known.presence = 'deleted';
  draw(Sources, known);
  await says('This was deleted with the dispatch.');
  expect(place.textContent).not.toContain('the newest are');
});

it('says why there are no lines', async () => {
  const known = new Known(() => Promise.reject(new Error('not asked')));
  known.row = row('7e05', { status: 'RUNNING' as Status, ended: null });
  draw(Logs, known);
  await says('Nothing was printed yet.');
  known.row = row('7e05');
  known.becomes({ electrons: new Map([[0, electron(0, { child: 'a31d' })]]), revision: 2 });
  await says('What runs of sublattices print');
});
