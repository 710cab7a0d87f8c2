# A journey with Mail::IMAPClient: HOST, PORT of imap, file of the authority, user, password, directory of messages as files NUMBER.eml.
# Ends with an error at the first answer that is not as expected; the Python test looks at the server afterwards.
use strict;
use warnings;
use Mail::IMAPClient;

my ( $host, $port, $authority, $user, $password, $place ) = @ARGV;

sub opened {
    my $imap = Mail::IMAPClient->new(
        Server => $host, Port => $port, User => $user, Password => $password, Uid => 1, Peek => 1, Timeout => 60,
        Starttls => [ SSL_ca_file => $authority, SSL_verify_mode => 1, SSL_verifycn_scheme => "imap", SSL_verifycn_name => $host ],
    ) or die "no session: $@";
    $imap->IsAuthenticated or die "not authenticated";
    return $imap;
}

sub octets {
    my ($path) = @_;
    open( my $file, "<:raw", $path ) or die "$path: $!";
    local $/;
    return scalar <$file>;
}

sub same {
    my ( $got, $wanted, $what ) = @_;
    $got = "nothing" unless defined $got;
    $got eq $wanted or die "$what: '$got', not '$wanted'";
}

my $imap = opened();
my @files = sort { $a <=> $b } map { m{(\d+)\.eml$} } glob("$place/*.eml");
$imap->has_capability($_) or die "$_ is not announced" for qw(IDLE MOVE UIDPLUS SORT THREAD=REFERENCES QUOTA ACL COMPRESS=DEFLATE);

# Octets: stored by literals, read by literals, with compression and without.
$imap->create("Perl") or die $imap->LastError;
my @uids = map { $imap->append_string( "Perl", octets("$place/$_.eml"), '\Flagged $Work' ) or die $imap->LastError } @files;
my $deflated = opened();
$deflated->compress or die $deflated->LastError;
for my $session ( $imap, $deflated ) {
    $session->select("Perl") or die $session->LastError;
    same( join( ",", $session->messages ), join( ",", @uids ), "UIDs" );
    for my $number ( 0 .. $#files ) {
        my $wanted = octets("$place/$files[$number].eml");
        $session->message_string( $uids[$number] ) eq $wanted or die "octets of $files[$number] differ";
        same( $session->size( $uids[$number] ), length $wanted, "RFC822.SIZE" );
        $session->message_to_file( \my $copy, $uids[$number] ) or die $session->LastError;
        $copy eq $wanted or die "octets of $files[$number] differ in a file";
    }
}
same( join( " ", sort grep { !/Recent/ } $imap->flags( $uids[0] ) ), '$Work \Flagged', "flags" );

# Searching, sorting, threading, structures.
same( join( ",", $imap->search( "SUBJECT", "digest" ) ), $uids[4], "SEARCH" );
same( scalar( my @sorted = $imap->sort( "REVERSE SIZE", "UTF-8", "ALL" ) ), scalar @uids, "SORT" );
same( $sorted[0], $uids[-1], "the largest" );
same( scalar @{ $imap->thread("REFERENCES") }, scalar @uids, "THREAD" );
same( $imap->get_bodystructure( $uids[3] )->bodytype, "MULTIPART", "BODYSTRUCTURE" );
same( $imap->get_envelope( $uids[0] )->subject, "A plain message", "ENVELOPE" );
my $rows = $imap->fetch_hash( \@uids, "FLAGS", "INTERNALDATE", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]" );
same( scalar keys %$rows, scalar @uids, "fetch_hash" );
same( $rows->{ $uids[0] }{"BODY[HEADER.FIELDS (SUBJECT)]"}, "Subject: A plain message\r\n\r\n", "a header field" );
$imap->getquotaroot("Perl") or die $imap->LastError;
same( $imap->{Folder}, "Perl", "the selected mailbox" );

# Flags, copies, moves and deletions; the other session hears of each.
$imap->set_flag( "Answered", $uids[0] ) or die $imap->LastError;
$imap->unset_flag( "Flagged", $uids[0] ) or die $imap->LastError;
$imap->see( $uids[1] ) or die $imap->LastError;
same( scalar $imap->unseen_count, scalar( @uids - 1 ), "unseen" );
$imap->copy( "Archive", $uids[0] ) or die $imap->LastError;
$imap->move( "Trash", [ $uids[1] ] ) or die $imap->LastError;
$imap->delete_message( $uids[2] ) or die $imap->LastError;
$imap->uidexpunge( join ",", @uids[ 1, 2 ] ) or die $imap->LastError;
$deflated->noop or die $deflated->LastError;
same( join( ",", $deflated->messages ), join( ",", @uids[ 0, 3 .. $#uids ] ), "UIDs in the other session" );
same( join( " ", sort grep { !/Recent/ } $deflated->flags( $uids[0] ) ), '$Work \Answered', "flags in the other session" );

# IDLE, over the deflated connection.
my $idling = $deflated->idle or die $deflated->LastError;
my $new = $imap->append_string( "Perl", octets("$place/$files[0].eml") );
my @news;
push @news, @{ $deflated->idle_data(60) } until grep { /EXISTS/ } @news;
$deflated->done($idling) or die $deflated->LastError;
$deflated->message_string($new) eq octets("$place/$files[0].eml") or die "octets of the new message differ";

# To another account's eyes and away again.
$imap->setacl( "Perl", "ben\@home.example", "lr" ) or die $imap->LastError;
same( $imap->getacl("Perl")->{"ben\@home.example"}, "lr", "rights" );
$imap->deleteacl( "Perl", "ben\@home.example" ) or die $imap->LastError;
$imap->rename( "Perl", "Perl renamed" ) or die $imap->LastError;
$_->logout or die $_->LastError for $deflated, $imap;
