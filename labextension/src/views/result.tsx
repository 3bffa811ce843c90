import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { Preview, ResultOf } from '../types';
import { useTrans } from './context';
import { shortened } from './figures';
import { useAnswer } from './hooks';
import { PreviewView } from './preview';

/** Characters of a result in its line; what is longer opens. */
const LINE = 160;
/** A part whose preview says no more than this is told by the line alone. */
const PART = 60;

/** The value of a dispatch that has completed, in one line; what is larger opens. */
export function ResultLine({ model, onChoose }: { model: DispatchModel; onChoose: (node: number) => void }): JSX.Element | null {
  const trans = useTrans();
  const status = model.row?.status;
  const { data } = useAnswer<ResultOf | null>(
    async () => (status === 'COMPLETED' ? model.source.request(`dispatches/${model.id}/result`) : null),
    [model, model.id, status]
  );
  const all = data && resultPreview(data);
  if (status !== 'COMPLETED' || !data || !all) {
    return null;
  }
  const line = (
    <>
      <span className="cv-mute">{trans.__('Result')}</span> <span className="cv-mono">{resultLine(all)}</span>
    </>
  );
  const parts = data.parts.filter(({ preview }) => preview && isLarge(preview, data.whole ? LINE : PART));
  if (parts.length === 0 && !isLarge(all, LINE)) {
    return <div className="cv-result">{line}</div>;
  }
  return (
    <details className="cv-result">
      <summary>{line}</summary>
      <div className="cv-resultParts">
        {!(data.whole && parts.length > 0) && (
          <div>
            <PreviewView preview={all} />
          </div>
        )}
        {parts.map((part, i) => (
          <div key={i}>
            <button className="cv-link" onClick={() => onChoose(part.node)}>
              {part.path} {part.name} {part.node}
            </button>
            <PreviewView preview={part.preview!} />
          </div>
        ))}
      </div>
    </details>
  );
}

/** All of a result, as far as it is known; null where nothing is. */
export function resultPreview({ whole, text, type, shape, parts, total }: ResultOf): Preview | null {
  if (text) {
    return { type: type ?? '', repr: text, shape };
  }
  const known = parts.filter(part => part.preview);
  if (whole || known.length === 0) {
    return known[0]?.preview ?? null;
  }
  // recorded before results had texts
  const told = known.map(({ path, preview }) => `${path && `${path}: `}${shortened(preview!.repr, PART)}`);
  return { type: '', repr: told.join(', ') + (total > known.length ? `, … ${total - known.length} more` : '') };
}

/** A result in one line. */
export function resultLine(preview: Preview): string {
  const lines = preview.repr.split('\n');
  if (lines.length === 1) {
    return shortened(lines[0], LINE);
  }
  const { type, shape } = preview;
  // the head of a table or an array, without what is below it, tells little
  return shortened(shape?.includes('×') ? `${type} ${shape}` : `${lines[0]} …`, LINE);
}

function isLarge({ mime, repr }: Preview, most: number): boolean {
  return Boolean(mime && Object.keys(mime).length > 0) || repr.length > most || repr.includes('\n');
}
