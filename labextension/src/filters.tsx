import { filterListIcon } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import { Menu } from '@lumino/widgets';
import * as React from 'react';

import { CommandIDs } from './commands';
import { ListProps } from './list';
import { GROUPINGS, STATE_FILTERS, StateFilter } from './filter';
import { openBelow } from './menus';

function groupingMenu(commands: CommandRegistry): Menu {
  const menu = new Menu({ commands });
  GROUPINGS.forEach(by => menu.addItem({ command: CommandIDs.groupBy, args: { by } }));
  return menu;
}

/** What stands for the word of a state where there is little room: its sign in the rows. */
const SIGNS: Record<StateFilter, string> = { all: '', running: '◐', completed: '✓', failed: '✕', cancelled: '⊘' };

/** Search, chips for states and the current notebook, and how the list is grouped. */
export function FilterBar({ model, view, commands, trans }: ListProps): JSX.Element {
  const [menu] = React.useState(() => groupingMenu(commands));
  const grouped = {
    day: trans.__('Grouped by day'),
    lattice: trans.__('Grouped by lattice'),
    notebook: trans.__('Grouped by notebook')
  }[model.grouping];
  const { totals } = model;
  const { filter } = model;
  const words: Record<StateFilter, string> = {
    all: trans.__('All'),
    running: trans.__('Running'),
    completed: trans.__('Completed'),
    failed: trans.__('Failed'),
    cancelled: trans.__('Cancelled')
  };
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
          onClick={event => openBelow(menu, event.currentTarget, 'right')}
        >
          <filterListIcon.react tag="span" elementSize="normal" />
        </button>
      </div>
      <div className="jp-Covalent-chips">
        {STATE_FILTERS.map(state => (
          <Chip
            key={state}
            word={words[state]}
            sign={SIGNS[state]}
            count={totals[state]}
            pressed={filter.state === state}
            onClick={() => model.setFilter({ state })}
          />
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

interface ChipProps {
  word: string;
  sign: string;
  count: number;
  pressed: boolean;
  onClick: () => void;
}

function Chip({ word, sign, count, pressed, onClick }: ChipProps): JSX.Element {
  const name = `${word} ${count}`;
  return (
    <button aria-pressed={pressed} aria-label={name} title={name} onClick={onClick}>
      {sign && <span className="jp-Covalent-chipSign">{sign} </span>}
      <span className={sign && 'jp-Covalent-chipWord'}>{word} </span>
      {count}
    </button>
  );
}
