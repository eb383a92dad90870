/** What becomes of the datagrams that a responder is handed: the index of each count. */
export const REQUEST_COUNT = {
  /** Requests that were answered, with ids or with the reason why there are none. */
  answered: 0,
  /** Ids in these answers. */
  ids: 1,
  /** Datagrams that are no request. */
  noRequest: 2,
} as const;
