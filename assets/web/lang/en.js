// English.

export default {
	// core
	save: 'Save', cancel: 'Cancel', delete: 'Delete', close: 'Close', edit: 'Edit', add: 'Add', remove: 'Remove',
	name: 'Name', password: 'Password', retry: 'Try again', back: 'Back', more: 'More', loading: 'Loading…',
	search: 'Search', none: 'None', yes: 'Yes', no: 'No',
	language: 'English',
	servers: 'Servers', channels: 'Channels', members: 'Members', settings: 'Settings', manage: 'Manage server',
	log_in: 'Log in', log_out: 'Log out', register: 'Create account',
	to_register: 'New here? Create an account', to_log_in: 'I have an account',
	register_hint: 'No e-mail, nothing to confirm. Remember the password: nobody can send it to you.',
	invite: 'Invite code', invite_hint: 'This server asks for one: whoever runs it hands them out.',
	session_lost: 'You were logged out here. Please log in again.',
	connecting: 'Connecting…', reconnecting: 'Connection lost. Trying again…',
	reconnecting_in_one: 'No connection. Next try in {n} second.',
	reconnecting_in_other: 'No connection. Next try in {n} seconds.',
	reconnect_now: 'Try now', connected_again: 'Connected again.',
	new_channel: 'New channel', channel_settings: 'Settings of #{name}', no_channels: 'There is no channel that you may see.',
	unread_one: '{n} unread message', unread_other: '{n} unread messages',
	mentions_one: '{n} mention of you', mentions_other: '{n} mentions of you',
	show_channels: 'Show channels', show_members: 'Show members', skip_to_messages: 'Skip to the messages',
	notice_400: 'The server did not take this: something in it is too long or not allowed.',
	notice_401: 'You are not logged in.', notice_403: 'You may not do this.', notice_404: 'This is not there any more.',
	notice_405: 'This makes no sense right now.', notice_409: 'This name is taken.',
	notice_500: 'The server failed at this. Try again later.', notice_offline: 'No connection to the server.',
	login_403: 'Wrong password, or you are banned here.', login_404: 'Nobody has this name here.',
	register_403: 'This server lets people in by invite only, or the invite is not good any more.',
	register_400: 'A name has 1 to 32 characters, and a password is needed.', register_409: 'This name is taken. Is it yours? Then log in.',
	unknown_member: 'Unknown member', everybody: 'Everybody', nobody_decides: 'nothing decides it',
	by_base: 'the base of the server', by_everybody: 'this channel, for everybody', by_group: 'the group {name}',
	by_group_here: 'this channel, for the group {name}', by_member_here: 'this channel, for this member',

	// composer (W1)
	message_to: 'Message #{name}', send: 'Send',
	too_long: 'This is longer than the server takes.',
	may_not_send: 'You may not write here.', editing: 'Editing', replying: 'Reply to {name}: {text}',
	suggestions: 'Suggestions', spoiler: 'Spoiler: show it', show_picture: 'Show picture from {host}',
	picture_from: 'Picture from {host}',

	// messages (W2)
	messages: 'Messages', today: 'Today', new_messages: 'New', edited: '(edited)',
	quote_away: 'A message that is further back, or deleted', waiting: 'Not sent yet: no connection',
	sending: 'Sending…', not_sent: 'Not sent. {why}', not_sent_in_time: 'It has waited for a day.', discard: 'Discard',
	reply: 'Reply', delete_message: 'Delete this message?',
	news_one: '{n} new message', news_other: '{n} new messages', to_newest: 'To the newest',
	may_not_read: 'You may not read here.', beginning: 'This is the beginning of #{name}.',

	// people (W3)
	online: 'Online', offline: 'Offline', groups: 'Groups', more_members: '{n} more', nobody_found: 'Nobody is called that.',
	mention: 'Mention', edit_profile: 'Edit profile', leave_group: 'Leave group', leave_group_text: 'Leave {name}? You cannot put yourself back into it.',
	moderation: 'Moderation', kick: 'Throw out', kick_text: 'End all connections of {name}? They may come back at once.', kicked: '{name} was thrown out.',
	is_banned: 'Banned until: {until}', ban_ends: 'Ends', ban_never: 'Never', ban_hour: 'In an hour', ban_day: 'In a day', ban_week: 'In a week', ban_date: 'At a date…',
	picture_unreadable: 'This file is no picture that the browser can read.', crop: 'Choose a part', zoom: 'Zoom',
	crop_hint: 'Drag the picture, or move it with the arrow keys. Plus and minus zoom.',
	profile_at: 'You at', change_picture: 'Change picture', change_password: 'Change password', new_password: 'New password', new_password_again: 'New password again',
	password_hint: 'Everywhere else you are logged out.', password_empty: 'A password has at least one character.', passwords_differ: 'The two are not the same.',
	sessions: 'Where you are logged in', unnamed: 'Unnamed', this_one: 'here', session_times: 'Since {created}, last used {used}', end_session: 'Log out there', end_others: 'Log out everywhere else',
	sessions_400: 'This server keeps no sessions.',

};
