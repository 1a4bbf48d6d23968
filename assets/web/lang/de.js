// German.

export default {
	// core
	save: 'Speichern', cancel: 'Abbrechen', delete: 'Löschen', close: 'Schließen', edit: 'Bearbeiten', add: 'Hinzufügen', remove: 'Entfernen',
	name: 'Name', password: 'Passwort', retry: 'Noch einmal', back: 'Zurück', more: 'Mehr', loading: 'Lädt…',
	search: 'Suchen', none: 'Keine', yes: 'Ja', no: 'Nein',
	language: 'Deutsch',
	servers: 'Server', channels: 'Kanäle', members: 'Mitglieder', settings: 'Einstellungen', manage: 'Server verwalten',
	log_in: 'Anmelden', log_out: 'Abmelden', register: 'Konto anlegen',
	to_register: 'Neu hier? Konto anlegen', to_log_in: 'Ich habe ein Konto',
	register_hint: 'Keine E-Mail, nichts zu bestätigen. Merk dir das Passwort: niemand kann es dir schicken.',
	invite: 'Einladung', invite_hint: 'Dieser Server verlangt eine: wer ihn betreibt, gibt sie aus.',
	session_lost: 'Du wurdest hier abgemeldet. Bitte melde dich wieder an.',
	connecting: 'Verbindet…', reconnecting: 'Verbindung verloren. Neuer Versuch…',
	reconnecting_in_one: 'Keine Verbindung. Nächster Versuch in {n} Sekunde.',
	reconnecting_in_other: 'Keine Verbindung. Nächster Versuch in {n} Sekunden.',
	reconnect_now: 'Jetzt versuchen', connected_again: 'Wieder verbunden.',
	new_channel: 'Neuer Kanal', channel_settings: 'Einstellungen von #{name}', no_channels: 'Es gibt keinen Kanal, den du sehen darfst.',
	unread_one: '{n} ungelesene Nachricht', unread_other: '{n} ungelesene Nachrichten',
	mentions_one: '{n} Erwähnung von dir', mentions_other: '{n} Erwähnungen von dir',
	show_channels: 'Kanäle zeigen', show_members: 'Mitglieder zeigen', skip_to_messages: 'Zu den Nachrichten springen',
	notice_400: 'Der Server nimmt das nicht an: etwas darin ist zu lang oder nicht erlaubt.',
	notice_401: 'Du bist nicht angemeldet.', notice_403: 'Das darfst du nicht.', notice_404: 'Das gibt es nicht mehr.',
	notice_405: 'Das ergibt gerade keinen Sinn.', notice_409: 'Dieser Name ist vergeben.',
	notice_500: 'Das ist dem Server misslungen. Versuch es später noch einmal.', notice_offline: 'Keine Verbindung zum Server.',
	login_403: 'Falsches Passwort, oder du bist hier gebannt.', login_404: 'Diesen Namen hat hier niemand.',
	register_403: 'Dieser Server nimmt nur mit Einladung auf, oder die Einladung gilt nicht mehr.',
	register_400: 'Ein Name hat 1 bis 32 Zeichen, und ein Passwort muss sein.', register_409: 'Dieser Name ist vergeben. Ist es deiner? Dann melde dich an.',
	unknown_member: 'Unbekanntes Mitglied', everybody: 'Alle', nobody_decides: 'nichts entscheidet es',
	by_base: 'die Grundrechte des Servers', by_everybody: 'dieser Kanal, für alle', by_group: 'die Gruppe {name}',
	by_group_here: 'dieser Kanal, für die Gruppe {name}', by_member_here: 'dieser Kanal, für dieses Mitglied',

	// composer (W1)
	message_to: 'Nachricht an #{name}', send: 'Senden',
	too_long: 'Das ist länger, als der Server annimmt.',
	may_not_send: 'Du darfst hier nicht schreiben.', editing: 'Bearbeiten', replying: 'Antwort an {name}: {text}',
	suggestions: 'Vorschläge', spoiler: 'Spoiler: zeigen', show_picture: 'Bild von {host} zeigen',
	picture_from: 'Bild von {host}',

	// messages (W2)
	messages: 'Nachrichten', today: 'Heute', new_messages: 'Neu', edited: '(bearbeitet)',
	quote_away: 'Eine Nachricht weiter oben, oder gelöscht', waiting: 'Noch nicht gesendet: keine Verbindung',
	sending: 'Wird gesendet…', not_sent: 'Nicht gesendet. {why}', not_sent_in_time: 'Sie hat einen Tag gewartet.',
	discard: 'Verwerfen', reply: 'Antworten', delete_message: 'Diese Nachricht löschen?',
	news_one: '{n} neue Nachricht', news_other: '{n} neue Nachrichten',
	to_newest: 'Zum Neuesten', may_not_read: 'Du darfst hier nicht lesen.', beginning: 'Hier beginnt #{name}.',

	// people (W3)
	online: 'Online', offline: 'Offline', groups: 'Gruppen', more_members: '{n} weitere', nobody_found: 'So heißt niemand.',
	mention: 'Erwähnen', edit_profile: 'Profil bearbeiten', leave_group: 'Gruppe verlassen', leave_group_text: '{name} verlassen? Du kannst dich nicht selbst wieder aufnehmen.',
	moderation: 'Moderation', kick: 'Hinauswerfen', kick_text: 'Alle Verbindungen von {name} beenden? Die Rückkehr steht sofort offen.', kicked: '{name} wurde hinausgeworfen.',
	is_banned: 'Gebannt bis: {until}', ban_ends: 'Endet', ban_never: 'Nie', ban_hour: 'In einer Stunde', ban_day: 'In einem Tag', ban_week: 'In einer Woche', ban_date: 'An einem Datum…',
	picture_unreadable: 'Diese Datei ist kein Bild, das der Browser lesen kann.', crop: 'Ausschnitt wählen', zoom: 'Vergrößern',
	crop_hint: 'Zieh das Bild, oder verschieb es mit den Pfeiltasten. Plus und Minus vergrößern und verkleinern.',
	profile_at: 'Du bei', change_picture: 'Bild ändern', change_password: 'Passwort ändern', new_password: 'Neues Passwort', new_password_again: 'Neues Passwort noch einmal',
	password_hint: 'Überall sonst wirst du abgemeldet.', password_empty: 'Ein Passwort hat mindestens ein Zeichen.', passwords_differ: 'Die beiden sind nicht gleich.',
	sessions: 'Wo du angemeldet bist', unnamed: 'Ohne Namen', this_one: 'hier', session_times: 'Seit {created}, zuletzt benutzt {used}', end_session: 'Dort abmelden', end_others: 'Überall sonst abmelden',
	sessions_400: 'Dieser Server kennt keine Sitzungen.',

};
