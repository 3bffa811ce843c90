import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { CommandIDs } from './commands';
import { ListProps } from './list';

/** What can be done with several dispatches at once; there while several are selected. */
export function SelectionBar(props: ListProps): JSX.Element | null {
  return props.model.selection.ids.size < 2 ? null : <Bar {...props} />;
}

function Bar({ model, commands, trans }: ListProps): JSX.Element {
  const { selection, totals } = model;
  const count = selection.ids.size;
  const bar = React.useRef<HTMLDivElement>(null);
  React.useLayoutEffect(() => {
    const node = bar.current!;
    const list = node.parentElement?.querySelector<HTMLElement>('.jp-Covalent-tree');
    // when it goes with the button that was pressed, the keyboard is where the selection was
    return () => void (node.contains(document.activeElement) && list?.focus());
  }, []);
  const actions: [string, string][] = [
    [CommandIDs.compareSelected, trans.__('Compare')],
    [CommandIDs.cancel, trans.__('Cancel')],
    [CommandIDs.redispatch, trans.__('Run Again')],
    [CommandIDs.tag, trans.__('Tag…')],
    [CommandIDs.deleteDispatch, trans.__('Delete…')]
  ];
  const offered = actions.filter(([command]) => commands.isVisible(command) && commands.isEnabled(command));
  return (
    <div className="jp-Covalent-selection" ref={bar} role="toolbar" aria-label={trans.__('Selected dispatches')}>
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
