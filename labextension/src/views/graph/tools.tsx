import * as React from 'react';

import { useTrans } from '../context';
import { stateFor } from '../../states';

interface ToolsProps {
  zoom: (factor: number) => void;
  fit: () => void;
  turn: () => void;
  search: string | null;
  setSearch: (text: string | null) => void;
  found: ReadonlySet<string> | null;
  next: () => void;
}

/** Zoom, direction and search. */
export function Tools({ zoom, fit, turn, search, setSearch, found, next }: ToolsProps): JSX.Element {
  const trans = useTrans();
  const tool = (sign: string, label: string, run: () => void) => (
    <button className="cv-button" title={label} aria-label={label} onClick={run}>
      {sign}
    </button>
  );
  return (
    <div className="cv-tools" role="toolbar" aria-label={trans.__('Graph')}>
      {search !== null && (
        <>
          {found && (
            <span className="cv-mute" aria-live="polite">
              {found.size === 1 ? trans.__('1 found') : trans.__('%1 found', found.size)}
            </span>
          )}
          <input
            type="search"
            className="cv-search"
            autoFocus
            value={search}
            placeholder={trans.__('Name, input, state, error, node')}
            aria-label={trans.__('Find in the graph')}
            onChange={event => setSearch(event.target.value)}
            onKeyDown={event => {
              if (event.key === 'Enter') {
                next();
              } else if (event.key === 'Escape') {
                setSearch(null);
              }
            }}
          />
        </>
      )}
      {tool('+', trans.__('Zoom in (+)'), () => zoom(1.25))}
      {tool('−', trans.__('Zoom out (-)'), () => zoom(0.8))}
      {tool('⤢', trans.__('Fit (0)'), fit)}
      {tool('⇅', trans.__('Left to right, or top down'), turn)}
      <button
        className="cv-button"
        aria-pressed={search !== null}
        title={trans.__('Find (/)')}
        onClick={() => setSearch(search === null ? '' : null)}
      >
        {trans.__('find')}
      </button>
    </div>
  );
}

/** Which sign and colour is which state. */
export function Legend(): JSX.Element {
  const trans = useTrans();
  const states = [
    stateFor('COMPLETED', false, trans),
    stateFor('RUNNING', false, trans),
    stateFor('NEW_OBJECT', false, trans),
    stateFor('FAILED', false, trans),
    stateFor('SKIPPED', false, trans),
    stateFor('CANCELLED', false, trans),
    stateFor('COMPLETED', true, trans)
  ];
  return (
    <div className="cv-legend" aria-hidden="true">
      {states.map(({ sign, word, colour }) => (
        <span key={word} className={`cv-${colour}`}>
          {sign} {word}
        </span>
      ))}
    </div>
  );
}
