// What permissions come to (protocol section 4). Pure.

/** In the order of the wire: two bits each, the lowest first. */
export const PERMISSIONS = [
	'modify_channels', 'modify_icon_name', 'modify_groups', 'modify_user_groups',
	'ban_users', 'send_messages', 'read_messages', 'manage_messages',
	'join_voice', 'view_channel',
];

/** 0, 1, 2: inherit, allow, deny. */
const settingAt = (bytes, index) => ((bytes?.[index >> 2] ?? 0) >> ((index & 3) * 2)) & 3;

export const decode = (bytes) => Object.fromEntries(PERMISSIONS.map((name, index) => [name, settingAt(bytes, index)]));

export const encode = (settings) => {
	const bytes = [0, 0, 0];
	PERMISSIONS.forEach((name, index) => { bytes[index >> 2] |= settings[name] << ((index & 3) * 2); });
	return bytes;
};

/** `{name: boolean}`. What sets something lies over what stands before it. */
export const comesTo = (community, member, channel) => {
	const own = community.groups.filter(({ uuid }) => member.groups.includes(uuid)).reverse();
	const here = channel?.permissions ?? {};
	const layers = [
		community.base, here['group:0'],
		...own.map(({ permissions }) => permissions), ...own.map(({ uuid }) => here[`group:${uuid}`]),
		here[`user:${member.uuid}`],
	];
	return Object.fromEntries(PERMISSIONS.map((name, index) =>
		[name, layers.map((bytes) => settingAt(bytes, index)).findLast(Boolean) === 1]));
};
