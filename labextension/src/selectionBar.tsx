import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { CommandIDs } from './commands';
import { ListProps } from './list';

/** What can be done with several dispatches at once; there while several are selected. */
export function SelectionBar({ model, commands, trans }: ListProps): JSX.Element | null {
  const { selection, totals } = model;
  const count = selection.ids.size;
  if (count < 2) {
    return null;
  }
  const actions: [string, string][] = [
    [CommandIDs.compareSelected, trans.__('Compare')],
    [CommandIDs.cancel, trans.__('Cancel')],
    [CommandIDs.redispatch, trans.__('Rerun')],
    [CommandIDs.tag, trans.__('Tag…')],
    [CommandIDs.deleteDispatch, trans.__('Delete…')]
  ];
  const offered = actions.filter(([command]) => commands.isVisible(command) && commands.isEnabled(command));
  return (
    <div className="jp-Covalent-selection" role="toolbar" aria-label={trans.__('Selected dispatches')}>
      <div>
        <span className="jp-Covalent-number">{trans.__('%1 selected', count)}</span>
        {!model.isFiltered && count < totals.all && count >= 100 && (
          <button onClick={() => void model.selectAll()}>{trans.__('All %1', totals.all)}</button>
        )}
        <button
          className="jp-Covalent-iconButton"
          title={trans.__('Select nothing')}
          aria-label={trans.__('Select nothing')}
          onClick={() => selection.clear()}
        >
          <closeIcon.react tag="span" elementSize="normal" />
        </button>
      </div>
      {offered.map(([command, words]) => (
        <button key={command} onClick={() => void commands.execute(command)}>
          {words}
        </button>
      ))}
    </div>
  );
}
