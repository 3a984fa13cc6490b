/** Days and months of a tenant's limits go by this zone, from the end of the window on that was open when it was set. The older ones are kept: windows are made from all of them. */
export interface TimeZoneRecord {
  readonly tenant: string
  /** As the IANA names it. */
  readonly timeZone: string
  /** When it was set: later than any before it. */
  readonly fromMs: number
}
