// What permissions come to (protocol section 4). Pure.

import { t } from './text.js';

/** In the order of the wire: two bits each, the lowest first. */
export const PERMISSIONS = [
	'modify_channels', 'modify_icon_name', 'modify_groups', 'modify_user_groups',
	'ban_users', 'send_messages', 'read_messages', 'manage_messages',
	'join_voice', 'view_channel',
];

/** Three bytes to `{name: 0 | 1 | 2}`: inherit, allow, deny. */
export const decode = (bytes) => Object.fromEntries(
	PERMISSIONS.map((name, index) => [name, ((bytes[index >> 2] ?? 0) >> ((index & 3) * 2)) & 3]));

/** And back. */
export const encode = (settings) => {
	const bytes = [0, 0, 0];
	PERMISSIONS.forEach((name, index) => { bytes[index >> 2] |= (settings[name] ?? 0) << ((index & 3) * 2); });
	return bytes;
};

/** The smallest position among a member's groups; beyond all without one. */
export const rank = (community, member) => {
	const positions = groupsOf(community, member).map((group) => group.position);
	return Math.min(...positions);
};

/** A member's groups, the highest first. */
export const groupsOf = (community, member) =>
	community.groups.filter((group) => member.groups.includes(group.uuid));

/** What is laid over each other, from the base up: [bytes, how it is called]. */
const layers = (community, member, channel) => {
	const own = groupsOf(community, member).reverse();
	const here = channel?.permissions ?? {};
	return [
		[community.base, () => t('by_base')],
		[here['group:0'], () => t('by_everybody')],
		...own.map((group) => [group.permissions, () => t('by_group', group)]),
		...own.map((group) => [here[`group:${group.uuid}`], () => t('by_group_here', group)]),
		[here[`user:${member.uuid}`], () => t('by_member_here')],
	];
};

/** `{name: {allowed, by}}`; `by` names the layer that decides. */
export const explain = (community, member, channel) => {
	const all = layers(community, member, channel).filter(([bytes]) => bytes);
	return Object.fromEntries(PERMISSIONS.map((name, index) => {
		let decided = [false, () => t('nobody_decides')];
		for (const [bytes, by] of all) {
			const setting = ((bytes[index >> 2] ?? 0) >> ((index & 3) * 2)) & 3;
			if (setting) decided = [setting === 1, by];
		}
		return [name, { allowed: decided[0], by: decided[1]() }];
	}));
};

/** `{name: boolean}`. */
export const comesTo = (community, member, channel) => Object.fromEntries(
	Object.entries(explain(community, member, channel)).map(([name, { allowed }]) => [name, allowed]));
