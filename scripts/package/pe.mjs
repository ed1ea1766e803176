/**
 * What a library of Windows imports, read from the file: no tool that does it comes with every compiler. Format: Microsoft's "PE
 * Format", of 64-bit images.
 */

const machineHeader = 4; // after "PE\0\0"
const optionalHeader = machineHeader + 20;
const imports = optionalHeader + 120;

/** Names of the libraries, as the file writes them. @throws where it is no 64-bit image */
export function importedBy(bytes) {
  const header = bytes.readUInt32LE(0x3c);
  if (
    bytes.toString('latin1', header, header + 4) !== 'PE\0\0' ||
    bytes.readUInt16LE(header + optionalHeader) !== 0x20b
  )
    throw new Error('not a 64-bit library of Windows');
  const sections = header + optionalHeader + bytes.readUInt16LE(header + machineHeader + 16);
  const count = bytes.readUInt16LE(header + machineHeader + 2);
  /** Where in the file lies what is at an address when it is loaded. */
  const placeOf = (address) => {
    for (let section = sections; section < sections + 40 * count; section += 40) {
      const offset = address - bytes.readUInt32LE(section + 12);
      if (offset >= 0 && offset < bytes.readUInt32LE(section + 16)) return bytes.readUInt32LE(section + 20) + offset;
    }
    throw new Error(`no section holds address ${address}`);
  };
  const table = bytes.readUInt32LE(header + imports);
  if (table === 0) return [];
  const names = [];
  for (let entry = placeOf(table); bytes.readUInt32LE(entry + 12) !== 0; entry += 20) {
    const name = placeOf(bytes.readUInt32LE(entry + 12));
    names.push(bytes.toString('latin1', name, bytes.indexOf(0, name)));
  }
  return names;
}
