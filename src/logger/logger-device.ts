import type { DeviceZone, ZonedDevice, ZoneReport } from '../env/zoned-device.ts';

/** What a logger wants of its device beyond the verbs. */
export interface LoggerDevice extends ZonedDevice {
  readonly capacityBytes: number;
  readonly occupiedBytes: number;
  reportZone(zone: DeviceZone): ZoneReport;
  /** Lets `zone` take the reserve, until it is reset: the metadata log must go on when the device is full. */
  privilege(zone: DeviceZone): void;
}
