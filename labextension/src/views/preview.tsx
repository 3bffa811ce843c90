import * as React from 'react';

import { Preview } from '../types';
import { useActions, useTrans } from './context';
import { bytes } from './figures';
import { Code } from './parts';
import { Literal, parseLiteral } from './pyliteral';
import { tokens } from './python';

const BASE64 = /^[A-Za-z0-9+/=\s]+$/;
/** Items of a container that are shown until more are asked for. */
const ITEMS = 50;

/** A value as people see it: a picture, a table, a tree, or its short text. */
export function PreviewView({ preview }: { preview: Preview }): JSX.Element {
  const trans = useTrans();
  const facts = [preview.type, preview.shape, preview.size ? bytes(preview.size) : ''].filter(Boolean).join(' · ');
  return (
    <div className="cv-preview">
      <div className="cv-mute cv-small">{facts}</div>
      <Body preview={preview} />
      {preview.warnings?.map(warning => (
        <p key={warning} className="cv-warn">
          {trans.__('Note: %1', warning)}
        </p>
      ))}
    </div>
  );
}

function Body({ preview }: { preview: Preview }): JSX.Element {
  const { sanitize } = useActions();
  const png = preview.mime?.['image/png'];
  const html = preview.mime?.['text/html'];
  const tree = React.useMemo(() => parseLiteral(preview.repr), [preview.repr]);
  if (png && BASE64.test(png)) {
    return <img className="cv-picture" src={`data:image/png;base64,${png}`} alt={preview.repr} />;
  }
  if (html && sanitize) {
    return <Html html={sanitize(html)} />;
  }
  if (tree && preview.repr.length > 30) {
    return (
      <div className="cv-tree">
        <Tree value={tree} open={true} total={itemsOf(preview)} />
      </div>
    );
  }
  return <Code text={preview.repr} />;
}

/** HTML that went through the sanitizer; nothing else may come here. */
function Html({ html }: { html: string }): JSX.Element {
  return <div className="cv-html jp-RenderedHTMLCommon" dangerouslySetInnerHTML={{ __html: html }} />;
}

/** "400 items" */
function itemsOf({ shape }: Preview): number | undefined {
  const [, count] = /^(\d+) items?$/.exec(shape ?? '') ?? [];
  return count === undefined ? undefined : Number(count);
}

interface TreeProps {
  name?: string;
  value: Literal;
  open: boolean;
  /** Items that there are, in the text or not, where that is known. */
  total?: number;
}

function Tree({ name, value, open, total }: TreeProps): JSX.Element {
  const trans = useTrans();
  const [all, setAll] = React.useState(false);
  const label = name !== undefined && <span className="cv-key">{name}: </span>;
  if (value.kind === 'atom') {
    return (
      <div className="cv-leaf">
        {label}
        <span className={`cv-atom-${value.tone}`}>{value.text}</span>
      </div>
    );
  }
  const pairs: [string | undefined, Literal][] =
    value.kind === 'map'
      ? value.items.map(([key, item]) => [told(key), item])
      : value.items.map((item, i) => [value.open === '{' ? undefined : String(i), item]);
  const [opening, closing] = value.kind === 'map' ? ['{', '}'] : [value.open, value.close];
  const shown = all ? pairs : pairs.slice(0, ITEMS);
  return (
    <details open={open}>
      <summary>
        {label}
        <span className="cv-mute">
          {opening}
          {total ?? pairs.length}
          {total === undefined && value.more && '+'}
          {closing}
        </span>
      </summary>
      <div className="cv-branch">
        {shown.map(([key, item], i) => (
          <Tree key={i} name={key} value={item} open={pairs.length <= 12} />
        ))}
        {shown.length < pairs.length && (
          <button className="cv-link" onClick={() => setAll(true)}>
            {trans.__('%1 more', pairs.length - shown.length)}
          </button>
        )}
        {value.more && shown.length === pairs.length && (
          <div className="cv-leaf cv-mute">
            {total === undefined ? trans.__('… more') : trans.__('… %1 more', total - pairs.length)}
          </div>
        )}
      </div>
    </details>
  );
}

function told(value: Literal): string {
  if (value.kind === 'atom') {
    return value.text;
  }
  return value.kind === 'map' ? '{…}' : `${value.open}${value.items.map(told).join(', ')}${value.close}`;
}

/** Python source, coloured. */
export function Source({ text, label }: { text: string; label?: string }): JSX.Element {
  const pieces = React.useMemo(() => tokens(text), [text]);
  return (
    <pre className="cv-code cv-source" tabIndex={0} aria-label={label}>
      {pieces.map((token, i) =>
        token.kind === 'plain' ? (
          token.text
        ) : (
          <span key={i} className={`cv-py-${token.kind}`}>
            {token.text}
          </span>
        )
      )}
    </pre>
  );
}
