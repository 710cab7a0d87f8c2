"""The dictionary that the first block of a message is compressed with: what headers and HTML mail say again and again.

Most frequent words last, where references are shortest. Its octets are part of the stored form: never change
them; a better dictionary gets a form octet of its own in `blocks`.
"""

WORDS = (
    b"X-Priority: Importance: normal\r\nAuto-Submitted: auto-generated\r\nPrecedence: bulk\r\nX-Mailer: Apple Mail (2.3654) iPhone "
    b"Mail Microsoft Outlook 16.0\r\nUser-Agent: Mozilla Thunderbird\r\nFeedback-ID: Sender: Errors-To: X-Spam-Status: No, "
    b"score=-0.1 required=5.0 tests=DKIM_SIGNED,DKIM_VALID,DKIM_VALID_AU,HTML_MESSAGE,SPF_HELO_NONE,SPF_PASS autolearn=ham "
    b"autolearn_force=no\r\nX-Spam-Level: \r\nX-Originating-IP: [192.168.\r\nThread-Topic: Thread-Index: Accept-Language: en-US, "
    b"de-DE\r\nContent-Language: en-US\r\nX-MS-Has-Attach: X-MS-TNEF-Correlator: List-Id: <\r\nList-Post: <mailto:\r\n"
    b"List-Help: \r\nList-Subscribe: \r\nList-Archive: <https://\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"List-Unsubscribe: <https://www.\r\nReply-To: \r\nIn-Reply-To: <\r\nReferences: <\r\nCc: <\r\nARC-Seal: i=1; a=rsa-sha256; "
    b"t=; cv=none; d=google.com; s=arc-20160816;\r\nARC-Message-Signature: ARC-Authentication-Results: i=1; mx.google.com;\r\n"
    b"Authentication-Results: dkim=pass (2048-bit key) header.d= header.i=@ header.s= header.b=; spf=pass (google.com: domain of  "
    b"designates  as permitted sender) smtp.mailfrom=; dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) header.from=\r\nReceived-SPF: "
    b"pass\r\nDelivered-To: \r\nX-Received: by 2002:a\r\nReceived: from mail. (mail. [10.0.0.1])\r\n\t(using TLSv1.3 with cipher "
    b"TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest "
    b"SHA256)\r\n\t(No client certificate requested)\r\n\tby mx. (Postfix) with ESMTPS id \r\n\tfor <; Mon, Tue, Wed, Thu, Fri, "
    b"Sat, Sun, Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec 2023 2024 2025 2026 +0000 (UTC) -0700 (PDT) +0200 "
    b"(CEST)\r\n        by smtp.gmail.com with ESMTPSA id (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 bits=128/128); with SMTP "
    b"id \r\nDKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=; s=selector1; t=1700000000; x=;\r\n\t"
    b"h=From:To:Subject:Date:Message-ID:Content-Type:MIME-Version:from:to:subject:date:message-id:mime-version:"
    b"content-type:content-transfer-encoding:list-unsubscribe:reply-to:cc; "
    b'bh=; b=\r\nReturn-Path: <bounce@\r\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" '
    b'"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\r\n<html xmlns="http://www.w3.org/1999/xhtml" '
    b'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" lang="en">\r\n<head>\r\n<meta '
    b'http-equiv="Content-Type" content="text/html; charset=utf-8">\r\n<meta name="viewport" content="width=device-width, '
    b'initial-scale=1.0">\r\n<title></title>\r\n<style type="text/css">\r\nbody { margin: 0; padding: 0; -webkit-text-size-adjust: '
    b"100%; } table, td { border-collapse: collapse; mso-table-lspace: 0pt; mso-table-rspace: 0pt; } img { border: 0; height: "
    b"auto; line-height: 100%; outline: none; text-decoration: none; } @media only screen and (max-width: 600px) { width: 100% "
    b"!important; display: block !important; }\r\n<!--[if mso]> <![endif]-->\r\n</style></head><body>\r\n<div "
    b'class="gmail_quote"><blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex;border-left:1px solid '
    b'rgb(204,204,204);padding-left:1ex"><div dir="ltr"><div dir="auto"><br></div></div></blockquote>\r\n<p class="MsoNormal" '
    b'style="margin:0 0 16px;"><o:p>&nbsp;</o:p></p><span style="color:#333333">&nbsp;&zwnj;&nbsp;&zwnj; &amp; &copy; &quot; &#39; '
    b'&lt; &gt;<ul><li></li></ul><strong></strong><h1></h1><h2></h2><center></center><tbody></tbody><img src="https://www. alt="" '
    b'width="1" height="1" style="display:block;" border="0"><a href="https://www. target="_blank" '
    b'style="color:#ffffff;text-decoration:none;font-weight:bold;"><table role="presentation" width="100%" cellpadding="0" '
    b'cellspacing="0" border="0" align="center" bgcolor="#ffffff" style="max-width:600px;"><tr>\r\n<td align="left" valign="top" '
    b'style="padding:0 20px;font-family:Arial, Helvetica, '
    b'sans-serif;font-size:14px;line-height:20px;color:#333333;text-align:center;background-color:#ffffff;"></td></tr></table>\r\n'
    b"On Monday, Tuesday, Wednesday, Thursday, Friday, wrote: January February March April August September October November "
    b"December Hello Hi Dear Thank you for your order. Please do not reply to this email. If you have any questions, please "
    b"contact us. Best regards, Kind regards, Sincerely, Unsubscribe Privacy Policy View in browser All rights reserved. Sent from "
    b"my iPhone You are receiving this email because you have information about your account. Click here the this that with from "
    b"have will would could should their there which when been was were they has had not are can and the for of to in is it on as "
    b"at by or be an \r\n--\r\nThis is a multi-part message in MIME format.\r\n--=_NextPart_000_\r\nContent-Type: image/png; "
    b'name="image001.png"\r\nContent-Type: application/pdf; name="\r\nContent-ID: <\r\nContent-Disposition: inline; filename="\r\n'
    b'Content-Type: application/octet-stream;\r\nContent-Disposition: attachment;\r\n\tfilename="\r\nContent-Type: image/jpeg; '
    b'name="\r\nContent-Transfer-Encoding: base64\r\nContent-Type: multipart/related; boundary="\r\nContent-Type: multipart/mixed; '
    b'boundary="----=_Part_"\r\nContent-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 7bit\r\nContent-Type: text/plain; '
    b'charset=us-ascii; format=flowed\r\nContent-Type: text/html; charset="iso-8859-1"\r\nContent-Transfer-Encoding: '
    b'quoted-printable\r\n\r\nSubject: =?UTF-8?Q?=C3=BC_?= =?utf-8?B?\r\nSubject: Re: Fwd: \r\nFrom: "info" '
    b"<noreply@example.com>\r\nTo: <undisclosed-recipients:;\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\nMessage-ID: "
    b'<@mail.gmail.com>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="\r\n\r\n--\r\nContent-Type: '
    b'text/html; charset=utf-8\r\n\r\n--\r\nContent-Type: text/plain; charset="UTF-8"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n'
)  # fmt: skip
