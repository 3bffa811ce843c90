import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import { afterEach, expect, it, vi } from 'vitest';

import { ComparePage } from '../page/compare_widget';
import { ISource, Link } from '../source';
import { row } from './server';

const PATIENCE = { timeout: 10_000 };
const run = {
  dispatch_id: '7e05', name: 'experiment', label: '', status: 'COMPLETED', started: 1, created: 1, duration: 1, error: '',
  tags: [], inputs: { C: 1 }, results: { C: 2, accuracy: 0.9 }
};
const table = { lattice: 'experiment', inputs: ['C'], results: ['C', 'accuracy'], runs: [run], total: 1 };

let page: ComparePage;

afterEach(() => page.dispose());

/** A service that knows one run, or has none while it is stopped. */
class Service {
  readonly linkChanged = new Signal<Service, void>(this);
  link: Link = 'online';

  constructor(private readonly lattice: string) {}

  async request(path: string): Promise<unknown> {
    if (this.link === 'stopped') {
      throw new Error('the Covalent service does not run');
    }
    return path === 'runs' ? table : row('7e05', { lattice: this.lattice });
  }

  becomes(link: Link): void {
    this.link = link;
    this.linkChanged.emit();
  }
}

function open(lattice: string, service = new Service(lattice), startService = () => undefined): void {
  const trans = nullTranslator.load('covalent_jupyter');
  page = new ComparePage(service as unknown as ISource, ['7e05'], '', trans, { startService });
  Widget.attach(page, document.body);
}

it('calls the tab of a table as what is in it', async () => {
  open('experiment');
  await vi.waitFor(() => expect(page.title.label).toBe('Runs of experiment'), PATIENCE);
  page.dispose();
  open('sweep of experiment');
  await vi.waitFor(() => expect(page.title.label).toBe('Sweep of experiment'), PATIENCE);
});

it('tells a result from the input of the same name', async () => {
  open('experiment');
  await vi.waitFor(() => {
    const columns = [...page.node.querySelectorAll('[role=columnheader]')].map(column => column.textContent);
    expect(columns).toEqual(['Picked', 'Run', 'Started ↓', 'Duration', 'C', 'C (result)', 'accuracy']);
  }, PATIENCE);
  const axes = [...page.node.querySelectorAll('select')[0].options].map(option => option.textContent);
  expect(axes).toContain('C (result)');
});

it('says how to start a stopped service, and reads the table when it is there again', async () => {
  const service = new Service('experiment');
  service.link = 'stopped';
  open('experiment', service);
  await vi.waitFor(() => expect(page.node.textContent).toContain('does not run'), PATIENCE);
  expect([...page.node.querySelectorAll('button')].map(button => button.textContent)).toEqual(['Start', 'Try Again']);
  service.becomes('online');
  await vi.waitFor(() => expect(page.title.label).toBe('Runs of experiment'), PATIENCE);
  await vi.waitFor(() => expect(page.node.querySelector('.cv-runs')).not.toBeNull(), PATIENCE);
  service.becomes('stopped');
  [...page.node.querySelectorAll('button')].find(button => button.textContent === 'Refresh')!.click();
  await vi.waitFor(() => expect(page.node.querySelector('.cv-runs .cv-failed')?.textContent).toContain('does not run'), PATIENCE);
  service.becomes('online');
  await vi.waitFor(() => expect(page.node.querySelector('.cv-runs .cv-failed')).toBeNull(), PATIENCE);
});
