/** Commands of the panel, for the palette, menus, keyboard shortcuts and other extensions. */
export namespace CommandIDs {
  export const showDispatches = 'covalent:show-dispatches';
  export const refresh = 'covalent:refresh-dispatches';
  /** Argument: `dispatch_id`. */
  export const cancel = 'covalent:cancel-dispatch';
  /** Argument: `dispatch_id`. */
  export const copyId = 'covalent:copy-dispatch-id';
}
