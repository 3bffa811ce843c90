import * as React from 'react';

import { useSize } from './hooks';

/** Rows drawn beyond either edge, so that none is missing while it is scrolled. */
const SPARE = 8;

export interface VirtualHandle {
  /** Scroll as little as needed to show a row. */
  reveal(index: number): void;
  scrollToEnd(): void;
}

interface Props {
  count: number;
  rowHeight: number;
  renderRow: (index: number) => React.ReactNode;
  /** Stands above the rows, and stays there. */
  header?: React.ReactNode;
  className?: string;
  /** Width of the content, where it is wider than the element. */
  width?: string;
  onScrolled?: (atEnd: boolean) => void;
  /** Attributes of the scrolled element: role, label, keys. */
  attributes?: React.HTMLAttributes<HTMLDivElement>;
}

/** A list of rows of one height, of which only those in sight are drawn. */
export const VirtualList = React.forwardRef<VirtualHandle, Props>((props, handle) => {
  const { count, rowHeight, renderRow, header, className, width, onScrolled, attributes } = props;
  const box = React.useRef<HTMLDivElement>(null);
  const { height } = useSize(box);
  const [top, setTop] = React.useState(0);
  React.useImperativeHandle(
    handle,
    () => ({
      reveal: index => {
        const node = box.current;
        if (!node) {
          return;
        }
        const above = index * rowHeight;
        const room = node.clientHeight - rowHeight * (header ? 2 : 1);
        if (node.scrollTop > above) {
          node.scrollTop = above;
        } else if (node.scrollTop < above - room) {
          node.scrollTop = above - room;
        }
      },
      scrollToEnd: () => {
        if (box.current) {
          box.current.scrollTop = box.current.scrollHeight;
        }
      }
    }),
    [rowHeight, header]
  );
  const onScroll = () => {
    const node = box.current!;
    // steps of whole rows: no need to draw for each pixel
    setTop(Math.floor(node.scrollTop / rowHeight));
    onScrolled?.(node.scrollHeight - node.scrollTop - node.clientHeight < rowHeight);
  };
  const shown = Math.ceil((height || 400) / rowHeight);
  const first = Math.max(0, Math.min(top, count - shown) - SPARE);
  const last = Math.min(count, first + shown + 2 * SPARE);
  const rows: React.ReactNode[] = [];
  for (let index = first; index < last; index++) {
    rows.push(renderRow(index));
  }
  return (
    <div {...attributes} className={`cv-virtual ${className ?? ''}`} ref={box} onScroll={onScroll}>
      {header}
      <div className="cv-virtualRows" style={{ height: count * rowHeight, width }} role="presentation">
        <div style={{ transform: `translateY(${first * rowHeight}px)` }} role="presentation">
          {rows}
        </div>
      </div>
    </div>
  );
});
