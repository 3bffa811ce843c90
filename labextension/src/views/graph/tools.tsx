import * as React from 'react';

import { useTrans } from '../context';
import { stateFor } from '../../states';

interface ToolsProps {
  zoom: (factor: number) => void;
  fit: () => void;
  turn: () => void;
  search: string | null;
  setSearch: (text: string | null) => void;
  /** Electrons that match. */
  found: number | null;
  next: () => void;
  /** Back to the graph, for the keyboard. */
  leave: () => void;
}

/** Zoom, direction and search. */
export function Tools({ zoom, fit, turn, search, setSearch, found, next, leave }: ToolsProps): JSX.Element {
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
          {found !== null && (
            <span className="cv-mute" aria-live="polite">
              {trans.__('%1 found', found)}
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
                leave();
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

interface LegendProps {
  box: React.RefObject<HTMLDivElement>;
  /** Whether the overview lies beside it. */
  beside: boolean;
}

/** Which sign and colour is which state. */
export function Legend({ box, beside }: LegendProps): JSX.Element {
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
    <div className={beside ? 'cv-legend cv-beside' : 'cv-legend'} aria-hidden="true" ref={box}>
      {states.map(({ sign, word, colour }) => (
        <span key={word} className={`cv-${colour}`}>
          {sign} {word}
        </span>
      ))}
    </div>
  );
}
