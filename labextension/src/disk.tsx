import { Dialog, ReactWidget } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { nameOf, size } from './format';
import { Filter } from './filter';
import { CovalentPanel } from './panel';
import { Disk } from './types';

/** What takes most of the disk; a click shows it in the sidebar, where it can be deleted. */
export async function showDiskUsage(
  panel: CovalentPanel,
  trans: TranslationBundle,
  show: (filter: Filter) => void
): Promise<void> {
  const disk = await panel.service.weigh();
  let dialog: Dialog<unknown> | null = null;
  const choose = (text: string) => {
    dialog?.reject();
    show({ text, state: 'all', notebook: '' });
  };
  const nameFor = (id: string, lattice: string) => {
    const row = panel.model.row(id);
    return row ? nameOf(row) : lattice;
  };
  const body = ReactWidget.create(<Usage disk={disk} nameFor={nameFor} choose={choose} trans={trans} />);
  body.addClass('jp-Covalent-disk');
  const title = trans.__('%1 kept, %2 free', size(disk.total), size(disk.free));
  dialog = new Dialog({ title, body, buttons: [Dialog.okButton({ label: trans.__('Close') })] });
  await dialog.launch();
}

interface Props {
  disk: Disk;
  nameFor: (id: string, lattice: string) => string;
  choose: (text: string) => void;
  trans: TranslationBundle;
}

function Usage({ disk, nameFor, choose, trans }: Props): JSX.Element {
  const lattices = disk.lattices.map(({ lattice, bytes }) => ({ key: lattice, name: lattice, id: '', bytes }));
  const dispatches = disk.dispatches.map(({ dispatch_id, lattice, bytes }) => ({
    key: dispatch_id,
    name: nameFor(dispatch_id, lattice),
    id: dispatch_id,
    bytes
  }));
  if (lattices.length + dispatches.length === 0) {
    return <p>{trans.__('In %1. No dispatch keeps anything: all of it is of the store itself.', disk.store)}</p>;
  }
  return (
    <>
      <p className="jp-Covalent-mute">
        {trans.__('In %1. Choose one to see it in the sidebar, where it can be deleted.', disk.store)}
      </p>
      <Largest title={trans.__('Largest lattices')} entries={lattices} choose={choose} />
      <Largest title={trans.__('Largest dispatches')} entries={dispatches} choose={choose} />
      {lattices.length > 0 && <p className="jp-Covalent-mute">{restOf(disk, trans)}</p>}
    </>
  );
}

/** What the lists leave out: they tell of values, printed text and graphs, and values that several share count for each. */
export function restOf({ parts }: Disk, trans: TranslationBundle): string {
  const names: Record<string, string> = {
    database: trans.__('database'),
    log: trans.__("the service's log"),
    hosts: trans.__('executor hosts'),
    work: trans.__('folders of electrons'),
    spool: trans.__('what waits to be stored'),
    uploads: trans.__('uploads')
  };
  const told = Object.entries(names).filter(([part]) => (parts[part] ?? 0) > 0);
  const rest = told.sort(([a], [b]) => parts[b] - parts[a]).map(([part, name]) => `${name} ${size(parts[part])}`);
  const shared = trans.__('Values that several dispatches share count for each.');
  return rest.length === 0 ? shared : `${trans.__('Beside these there are: %1.', rest.join(', '))} ${shared}`;
}

interface Entry {
  key: string;
  name: string;
  id: string;
  bytes: number;
}

function Largest(props: { title: string; entries: Entry[]; choose: (text: string) => void }): JSX.Element | null {
  const { title, entries, choose } = props;
  const most = Math.max(...entries.map(entry => entry.bytes), 1);
  return entries.length === 0 ? null : (
    <section>
      <h3>{title}</h3>
      <ul>
        {entries.slice(0, 10).map(({ key, name, id, bytes }) => (
          <li key={key}>
            <button onClick={() => choose(key)} title={id || name}>
              <span className="jp-Covalent-diskName">{name}</span>
              <span className="jp-Covalent-code">{id.slice(0, 8)}</span>
              <span className="jp-Covalent-number">{size(bytes)}</span>
              <i style={{ width: `${(100 * bytes) / most}%` }} />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
