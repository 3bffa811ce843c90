import * as React from 'react';

import { DispatchModel } from '../../dispatch';
import { useTrans } from '../context';
import { isEnded } from '../../states';
import { useClock, useModel, useSize } from '../hooks';
import { Empty } from '../parts';
import { Pending } from '../pending';
import { Faces } from './faces';
import { find } from './find';
import { Direction } from './layout';
import { Listing } from './listing';
import { Minimap } from './minimap';
import { View } from './paint';
import { usePalette } from './palette';
import { middle, neighbour, openingOf, Shape, shapeFor, shapeLike, TITLE } from './scene';
import { Legend, Tools } from './tools';
import { useFind } from './use_find';
import { usePainting } from './use_painting';
import { usePointer, useWheel } from './use_pointer';
import { Children, useScene } from './use_scene';
import { isTooLarge, LEAST, MOST, useView } from './use_view';

/** What opens and closes a box, and a cell, at its right end. */
const MARK = 26;
const CELL_MARK = 18;

export interface Chosen {
  dispatch: string;
  node: number;
}

/** How somebody has arranged a graph: what is open, where it lies, what is searched for. */
export interface GraphState {
  dispatch: string;
  open: ReadonlySet<string>;
  direction: Direction;
  search: string | null;
  /** Null while it fits. */
  view: View | null;
}

interface Props {
  model: DispatchModel;
  chosen: Chosen | null;
  onChoose: (chosen: Chosen | null) => void;
  /** Whether the wheel zooms by itself; where the page around it scrolls, it zooms with Ctrl alone. */
  wheelZooms?: boolean;
  /** Where the state is kept while the graph is not shown. */
  kept?: React.MutableRefObject<GraphState | null>;
}

/** The transport graph, live: pan, zoom, search; stacks and sublattices open in place. */
export function GraphView(props: Props): JSX.Element {
  const { model } = props;
  useModel(model);
  const trans = useTrans();
  React.useEffect(() => model.want('graph', 'electrons'), [model]);
  if (!model.graph) {
    return <Pending model={model}>{trans.__('Loading the graph…')}</Pending>;
  }
  if (model.graph.nodes.length === 0) {
    return <Empty>{trans.__('This dispatch has no electrons.')}</Empty>;
  }
  return <Drawing key={model.id} {...props} />;
}

/** Width from which there is room for an overview, in px: in less it would lie over the graph. */
const ROOMY = 420;

function Drawing({ model, chosen, onChoose, wheelZooms = true, kept }: Props): JSX.Element {
  const trans = useTrans();
  const [, draw] = React.useReducer((n: number) => n + 1, 0);
  const children = React.useMemo(() => new Children(model, draw), [model]);
  React.useEffect(() => () => children.dispose(), [children]);
  const start = kept?.current?.dispatch === model.id ? kept.current : null;
  const [open, setOpen] = React.useState<ReadonlySet<string>>(start?.open ?? new Set());
  const [direction, setDirection] = React.useState<Direction>(start?.direction ?? 'right');
  const [search, setSearch] = React.useState<string | null>(start?.search ?? null);
  const [focusedLike, setFocused] = React.useState<Shape | null>(null);
  const scene = useScene(model, children, open, direction);
  const faces = React.useMemo(() => new Faces(children.of, trans), [children, trans]);
  const box = React.useRef<HTMLDivElement>(null);
  const size = useSize(box);
  const legend = React.useRef<HTMLDivElement>(null);
  const room = { ...size, legend: useSize(legend).height };
  const chosenShape = scene && chosen ? shapeFor(scene, chosen.dispatch, chosen.node) : null;
  const { view, setView, fit, anchor, turn, isMoved } = useView(scene, room, start?.view ?? null, chosenShape);
  React.useEffect(() => {
    if (kept) {
      kept.current = { dispatch: model.id, open, direction, search, view: isMoved() ? view : null };
    }
  });
  const ticking = !!model.row && !isEnded(model.row.status);
  const second = Math.floor(useClock(() => model.now(), ticking));
  const stamp = `${children.revision} ${ticking ? second : 0}`;
  faces.renew(stamp);
  const palette = usePalette(box);
  const found = React.useMemo(() => find(scene, search, faces, children.of, trans), [scene, search, stamp]);
  const focusedShape = scene && focusedLike && shapeLike(scene, focusedLike);
  const focused = focusedShape?.id ?? null;
  const canvas = usePainting({
    scene, view, size, palette, faces, stamp,
    emphasis: { chosen: chosenShape?.id ?? null, focused, found: found?.shapes ?? null }
  });

  const toggle = (shape: Shape) => {
    const opening = openingOf(shape);
    if (opening === null) {
      return false;
    }
    anchor(shape);
    setOpen(known => {
      const next = new Set(known);
      if (!next.delete(opening)) {
        next.add(opening);
      }
      return next;
    });
    return true;
  };
  const centre = (shape: Shape) => {
    const [x, y] = middle(shape);
    const scale = Math.max(view.scale, 0.8);
    setView({ scale, x: size.width / 2 - x * scale, y: size.height / 2 - y * scale });
  };
  const reveal = (shape: Shape) => {
    const [x, y] = [shape.x * view.scale + view.x, shape.y * view.scale + view.y];
    const inside = x > 0 && y > 0 && x + shape.width * view.scale < size.width && y + shape.height * view.scale < size.height;
    if (!inside) {
      centre(shape);
    }
  };
  const zoom = (factor: number, x = size.width / 2, y = size.height / 2) =>
    setView(known => {
      const scale = Math.min(MOST, Math.max(LEAST, known.scale * factor));
      const real = scale / known.scale;
      return { scale, x: x - (x - known.x) * real, y: y - (y - known.y) * real };
    });
  const click = (shape: Shape | null, x: number, y: number) => {
    if (!shape) {
      return false;
    }
    setFocused(null);
    const onTitle = y < shape.y + TITLE;
    const onMark = shape.child !== null && x > shape.x + shape.width - (shape.role === 'cell' ? CELL_MARK : MARK);
    if (shape.role === 'stack' || (shape.role === 'grid' && onTitle) || (onMark && (shape.role !== 'frame' || onTitle))) {
      return toggle(shape);
    }
    if (shape.nodes.length === 1 && (shape.role !== 'frame' || onTitle)) {
      onChoose({ dispatch: shape.dispatch, node: shape.nodes[0] });
    }
    return false;
  };
  const double = (shape: Shape) => {
    if (shape.role === 'box' || shape.role === 'cell') {
      toggle(shape);
    }
  };
  const pointer = usePointer(scene, view, setView, click, double);
  useWheel(box, zoom, setView, wheelZooms);

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (!scene || event.target !== event.currentTarget) {
      return;
    }
    const from = focusedShape ?? chosenShape ?? scene.shapes[0];
    if (event.key.startsWith('Arrow') && from) {
      const next = focused || chosenShape ? neighbour(scene, from, event.key) : from;
      if (next) {
        setFocused(next);
        reveal(next);
      }
    } else if (event.key === 'Enter' && focusedShape) {
      if (focusedShape.nodes.length === 1) {
        onChoose({ dispatch: focusedShape.dispatch, node: focusedShape.nodes[0] });
      } else {
        toggle(focusedShape);
      }
    } else if (event.key === ' ' && focusedShape) {
      toggle(focusedShape);
    } else if (event.key === '+' || event.key === '=') {
      zoom(1.25);
    } else if (event.key === '-') {
      zoom(0.8);
    } else if (event.key === '0') {
      fit();
    } else if (event.key === '/') {
      setSearch(search ?? '');
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const next = useFind(scene, found, toggle, shape => {
    setFocused(shape);
    centre(shape);
  });
  const listing = React.useMemo(
    () => <Listing scene={scene} faces={faces} focused={focused} chosen={chosenShape} />,
    [scene, stamp, focused, chosenShape]
  );
  const tooLarge = scene && isTooLarge(scene, size, view.scale);
  return (
    <div className="cv-graph">
      <div
        className="cv-canvas"
        ref={box}
        tabIndex={0}
        role="listbox"
        aria-label={trans.__('Graph: arrow keys move, Enter chooses, Space opens')}
        aria-activedescendant={focused ? `cv-shape-${focused}` : undefined}
        onKeyDown={onKeyDown}
        {...pointer.handlers}
        title={pointer.over ? faces.words(pointer.over) : undefined}
        style={{ cursor: pointer.over ? 'pointer' : 'grab' }}
        data-boxes={scene?.shapes.length ?? 0}
        data-scale={view.scale.toFixed(4)}
        data-left={Math.round(view.x)}
        data-top={Math.round(view.y)}
      >
        <canvas ref={canvas} />
        {listing}
      </div>
      <Tools
        zoom={zoom}
        fit={fit}
        turn={() => {
          turn(focusedShape ?? chosenShape);
          setDirection(direction === 'right' ? 'down' : 'right');
        }}
        search={search}
        setSearch={setSearch}
        found={found?.count ?? null}
        next={next}
        leave={() => box.current?.focus()}
      />
      <Legend box={legend} beside={!!tooLarge && size.width >= ROOMY} />
      {scene && tooLarge && size.width >= ROOMY && (
        <Minimap
          scene={scene}
          view={view}
          {...size}
          palette={palette}
          face={faces.of}
          stamp={stamp}
          label={trans.__('Overview')}
          onMove={(x, y) =>
            setView(known => ({ ...known, x: size.width / 2 - x * known.scale, y: size.height / 2 - y * known.scale }))
          }
        />
      )}
      {!scene && <div className="cv-graphBusy">{trans.__('Laying out %1 electrons…', model.graph!.nodes.length)}</div>}
    </div>
  );
}
