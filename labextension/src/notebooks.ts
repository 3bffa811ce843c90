import type { CodeCell } from '@jupyterlab/cells';
import { INotebookTracker, NotebookActions, NotebookPanel } from '@jupyterlab/notebook';

import { isSameNotebook, wholePath } from './paths';
import { DispatchRow } from './types';

/** What the sidebar does in open notebooks. */
export class Notebooks {
  constructor(readonly tracker: INotebookTracker) {}

  /** Whole path of the current notebook, "" where there is none. */
  get current(): string {
    return wholePath(this.tracker.currentWidget?.context.path ?? '');
  }

  /** The open notebook that made a dispatch. */
  find(row: DispatchRow): NotebookPanel | undefined {
    if (!row.notebook) {
      return undefined;
    }
    return this.tracker.find(({ context: { path } }) => isSameNotebook(row.notebook, wholePath(path)));
  }

  /** Insert a cell below the active one of the current notebook, and show it. False if none is open. */
  insert(code: string): boolean {
    const panel = this.tracker.currentWidget;
    if (!panel) {
      return false;
    }
    const notebook = panel.content;
    NotebookActions.insertBelow(notebook);
    notebook.activeCell?.model.sharedModel.setSource(code);
    if (notebook.activeCell) {
      void notebook.scrollToItem(notebook.activeCellIndex);
    }
    return true;
  }

  /** Make the cell that made a dispatch the active one of its notebook. False if it is not to be found. */
  async goTo(row: DispatchRow): Promise<NotebookPanel | undefined> {
    const panel = this.find(row);
    const at = panel ? cellOf(panel, row) : -1;
    if (!panel || at < 0) {
      return undefined;
    }
    panel.content.activeCellIndex = at;
    await panel.content.scrollToItem(at);
    return panel;
  }
}

/** The cell whose output shows the dispatch; else the last one that dispatches its lattice, or defines it. */
function cellOf(panel: NotebookPanel, row: DispatchRow): number {
  const cells = panel.content.widgets.filter(cell => cell.model.type === 'code') as CodeCell[];
  const place = (cell: CodeCell | undefined) => (cell ? panel.content.widgets.indexOf(cell) : -1);
  const shows = cells.find(cell => JSON.stringify(cell.model.outputs.toJSON()).includes(row.dispatch_id));
  if (shows) {
    return place(shows);
  }
  const word = new RegExp(`\\b${row.lattice.replace(/[^\w]/g, '\\$&')}\\b`);
  const named = cells.filter(cell => word.test(cell.model.sharedModel.getSource())).reverse();
  return place(named.find(cell => /dispatch|%%?lattice|%%?covalent/.test(cell.model.sharedModel.getSource())) ?? named[0]);
}
