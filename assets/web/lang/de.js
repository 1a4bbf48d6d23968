// German.

export default {
  // core
  save: 'Speichern', cancel: 'Abbrechen', delete: 'Löschen', close: 'Schließen', edit: 'Bearbeiten', add: 'Hinzufügen', remove: 'Entfernen',
  name: 'Name', password: 'Passwort', retry: 'Noch einmal', back: 'Zurück', more: 'Mehr', loading: 'Lädt…',
  search: 'Suchen', none: 'Keine', yes: 'Ja', no: 'Nein', copy: 'Kopieren',
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
  old_browser: 'Dieser Browser ist zu alt.',

  // composer (W1)

  // messages (W2)

  // people (W3)

  // manage (W4)
};
