import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { duration } from '../format';
import { ElectronError, ElectronRow, Frame } from '../types';
import { useActions, useTrans } from './context';
import { spent } from './figures';
import { electronState, Trans } from '../states';
import { useModel } from './hooks';
import { Button, Code, CopyButton, Empty, Sign } from './parts';
import { Source } from './preview';

/** Errors that are shown at once. */
const SHOWN = 30;

interface Props {
  model: DispatchModel;
  chosen: number | null;
  onChoose: (node: number) => void;
}

/** Every failed electron: what it says, the user's own frames, the rest folded. */
export function Errors({ model, chosen, onChoose }: Props): JSX.Element {
  useModel(model);
  React.useEffect(() => model.want('electrons'), [model]);
  const trans = useTrans();
  const { open } = useActions();
  const [shown, setShown] = React.useState(SHOWN);
  const failed = React.useMemo(
    () => [...model.electrons.values()].filter(row => row.error).sort((a, b) => a.node - b.node),
    [model, model.revision]
  );
  if (failed.length === 0) {
    return (
      <Empty>
        {model.row?.error ? <Code text={model.row.error} /> : model.complete ? trans.__('No electron failed.') : trans.__('Loading electrons…')}
      </Empty>
    );
  }
  return (
    <div className="cv-errors">
      {failed.slice(0, shown).map(row => (
        <section key={row.node} className={row.node === chosen ? 'cv-chosen' : ''} aria-label={`${row.name} ${row.node}`}>
          <h2>
            <Sign state={electronState(row, trans)} />
            <button className="cv-link" onClick={() => onChoose(row.node)}>
              {row.name}
            </button>{' '}
            <span className="cv-mute cv-mono">{row.node}</span>
            <span className="cv-mute cv-plain">{describe(row, model, trans)}</span>
            {row.child && open && (
              <Button onClick={() => open(row.child!)} quiet>
                {trans.__('Open Its Run')}
              </Button>
            )}
          </h2>
          <ErrorView error={row.error!} />
        </section>
      ))}
      {failed.length > shown && (
        <Button onClick={() => setShown(shown + SHOWN)}>{trans.__('%1 more', failed.length - shown)}</Button>
      )}
    </div>
  );
}

function describe(row: ElectronRow, model: DispatchModel, trans: Trans): string {
  const parts = [model.inputsOf(row.node)];
  if (row.attempt > 1) {
    parts.push(trans.__('attempt %1', row.attempt));
  }
  parts.push(duration(spent(row, model.now())));
  return parts.filter(Boolean).join(' · ');
}

/** Type and message first, then the user's own frames, then what to do; the rest is folded. */
export function ErrorView({ error }: { error: ElectronError }): JSX.Element {
  const trans = useTrans();
  const frames = error.frames ?? [];
  const own = frames.filter(frame => frame[4] !== false);
  const shown = own.length > 0 ? own : frames;
  const text = error.text || `${error.type}: ${error.message}`;
  return (
    <div className="cv-error">
      <pre className="cv-code cv-errorMessage" tabIndex={0}>
        <b>{error.type}</b>
        {error.message && `: ${error.message}`}
        {error.behind?.map(line => `\n    ${line}`)}
      </pre>
      {shown.length > 0 && (
        <ol className="cv-frames">
          {shown.slice(-8).map((frame, i) => (
            <FrameView key={i} frame={frame} />
          ))}
        </ol>
      )}
      {error.signal && <p>{trans.__('Ended by the signal %1.', error.signal)}</p>}
      {error.hint && <p className="cv-hint">→ {error.hint}</p>}
      <div className="cv-errorFoot">
        {error.text && (
          <details>
            <summary>
              {frames.length > shown.length
                ? trans.__('Whole traceback, %1 more frames', frames.length - shown.length)
                : trans.__('Whole traceback')}
            </summary>
            <Code text={error.text} label={trans.__('Traceback')} />
          </details>
        )}
        <CopyButton text={text} />
      </div>
    </div>
  );
}

/** The name of a file; of what a kernel makes of a cell, which nobody has ever seen, what it is. */
export function fileName(file: string, trans: Trans): string {
  return /ipykernel_|^<ipython-input/.test(file) ? trans.__('a notebook’s cell') : (file.split('/').pop() ?? file);
}

function FrameView({ frame }: { frame: Frame }): JSX.Element {
  const trans = useTrans();
  const [file, line, name, text, , place] = frame;
  return (
    <li>
      <div className="cv-place" title={file}>
        {trans.__('%1, line %2, in %3', place || fileName(file, trans), line, name)}
      </div>
      {text && <Source text={text.trim()} />}
    </li>
  );
}
