import { filterListIcon } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import { Menu } from '@lumino/widgets';
import * as React from 'react';

import { CommandIDs } from './commands';
import { ListProps } from './list';
import { GROUPINGS, StateFilter } from './filter';

function groupingMenu(commands: CommandRegistry): Menu {
  const menu = new Menu({ commands });
  GROUPINGS.forEach(by => menu.addItem({ command: CommandIDs.groupBy, args: { by } }));
  return menu;
}

/** Search, chips for states and the current notebook, and how the list is grouped. */
export function FilterBar({ model, view, commands, trans }: ListProps): JSX.Element {
  const [menu] = React.useState(() => groupingMenu(commands));
  const grouped = {
    day: trans.__('Grouped by day'),
    lattice: trans.__('Grouped by lattice'),
    notebook: trans.__('Grouped by notebook')
  }[model.grouping];
  const { all, running, failed } = model.totals;
  const { filter } = model;
  const chips: [StateFilter, string][] = [
    ['all', trans.__('All %1', all)],
    ['running', trans.__('Running %1', running)],
    ['failed', trans.__('Failed %1', failed)]
  ];
  const notebook = filter.notebook || view.notebook;
  return (
    <div className="jp-Covalent-filter">
      <div className="jp-Covalent-searchLine">
        <input
          type="search"
          value={filter.text}
          placeholder={trans.__('Name, id, tag, error')}
          aria-label={trans.__('Search dispatches')}
          onChange={event => model.setFilter({ text: event.target.value })}
          onKeyDown={event => event.key === 'Escape' && model.setFilter({ text: '' })}
        />
        <button
          className="jp-Covalent-iconButton"
          title={grouped}
          aria-label={grouped}
          aria-haspopup="menu"
          onClick={event => {
            const { right, bottom } = event.currentTarget.getBoundingClientRect();
            menu.open(right, bottom, { horizontalAlignment: 'right' });
          }}
        >
          <filterListIcon.react tag="span" elementSize="normal" />
        </button>
      </div>
      <div className="jp-Covalent-chips">
        {chips.map(([state, words]) => (
          <button key={state} aria-pressed={filter.state === state} onClick={() => model.setFilter({ state })}>
            {words}
          </button>
        ))}
        {notebook && (
          <button
            aria-pressed={filter.notebook !== ''}
            title={notebook}
            onClick={() => model.setFilter({ notebook: filter.notebook ? '' : view.notebook })}
          >
            {!filter.notebook || filter.notebook === view.notebook
              ? trans.__('This notebook')
              : notebook.split('/').pop()}
          </button>
        )}
      </div>
    </div>
  );
}
